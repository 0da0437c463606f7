#include "core/formats/half_float.hpp"

#include <bit>

#include "core/base/vector_clones.hpp"

#if defined(CRYORED_F16C)
#include <immintrin.h>
#endif

namespace cryored {
namespace {

#if defined(CRYORED_F16C)
/// The processor's own conversion, eight at a time; returns how many were converted.
__attribute__((target("avx,f16c"))) std::size_t convert_eights(const std::uint16_t* in, float* out, std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i))));
  return i;
}

/// The same the other way, to the nearest half, ties to even.
__attribute__((target("avx,f16c"))) std::size_t convert_eights(const float* in, std::uint16_t* out, std::size_t count) {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
  return i;
}
const bool has_f16c = __builtin_cpu_supports("avx") && __builtin_cpu_supports("f16c");
#endif

CRYORED_CLONES("default", "avx2", "avx512f")
void convert(const std::uint16_t* in, float* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t half = in[i];
    const std::uint32_t sign = (half & 0x8000u) << 16;
    const std::uint32_t body = (half & 0x7fffu) << 13;
    const std::uint32_t exponent = body & 0x0f800000u;
    // Exponent bias 15 -> 127; infinities and NaN need 112 more to reach 255.
    const std::uint32_t normal = body + (112u << 23) + (exponent == 0x0f800000u ? 112u << 23 : 0u);
    // Subnormal halves: put the fraction under an implicit one at 2^-14, then take the one away.
    const float subnormal = std::bit_cast<float>(body + (113u << 23)) - std::bit_cast<float>(113u << 23);
    const std::uint32_t bits = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : normal;
    out[i] = std::bit_cast<float>(bits | sign);
  }
}

CRYORED_CLONES("default", "avx2", "avx512f")
void convert(const float* in, std::uint16_t* out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(in[i]);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t body = bits & 0x7fffffffu;
    // Below 2^-14: adding 0.5 makes the float adder align and round the ten-bit fraction.
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(body) + 0.5f) - std::bit_cast<std::uint32_t>(0.5f);
    const std::uint32_t odd = (body >> 13) & 1u;
    const std::uint32_t normal = (body - (112u << 23) + 0xfffu + odd) >> 13;
    const std::uint32_t special = body > 0x7f800000u ? 0x7e00u | ((body >> 13) & 0x1ffu) : 0x7c00u;
    std::uint32_t half = body < (113u << 23) ? subnormal : normal;
    half = body >= 0x477ff000u ? special : half;  // 65520, halfway to the next power of two
    out[i] = static_cast<std::uint16_t>(half | sign);
  }
}

template <class From, class To>
void convert_all(const From* in, To* out, std::size_t count) {
  std::size_t done = 0;
#if defined(CRYORED_F16C)
  if (has_f16c) done = convert_eights(in, out, count);
#endif
  convert(in + done, out + done, count - done);
}

}  // namespace

void half_to_float(const std::uint16_t* in, float* out, std::size_t count) { convert_all(in, out, count); }
void float_to_half(const float* in, std::uint16_t* out, std::size_t count) { convert_all(in, out, count); }

}  // namespace cryored
