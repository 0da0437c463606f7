#include "simulation/projector.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/base/vector_clones.hpp"
#include "core/formats/half_float.hpp"
#include "core/fourier/fft.hpp"

#if defined(CRYORED_F16C)
#include <immintrin.h>
#endif

namespace cryored {
namespace {

double sinc(double x) { return std::abs(x) < 1e-9 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

/// The separable real-space envelope of trilinear interpolation on a grid of `padded` points.
std::vector<double> interpolation_envelope(std::size_t box, std::size_t padded) {
  std::vector<double> e(box);
  for (std::size_t i = 0; i < box; ++i) {
    const double s = sinc((static_cast<double>(i) - static_cast<double>(box / 2)) / static_cast<double>(padded));
    e[i] = s * s;
  }
  return e;
}

void divide_by_envelope(Map& map, std::size_t padded) {
  const auto e = interpolation_envelope(map.nx, padded);
#pragma omp parallel for num_threads(threads()) schedule(static)
  for (std::size_t z = 0; z < map.nz; ++z)
    for (std::size_t y = 0; y < map.ny; ++y)
      for (std::size_t x = 0; x < map.nx; ++x) map(x, y, z) = static_cast<float>(map(x, y, z) / (e[x] * e[y] * e[z]));
}

/// Row-wise direction of a slice pixel in the volume: k = A^-1 (kx, ky, 0).
struct SliceAxes {
  float ux, uy, uz, vx, vy, vz;
  SliceAxes(const Rotation& r, double scale)
      : ux(static_cast<float>(r.m[0][0] * scale)),
        uy(static_cast<float>(r.m[0][1] * scale)),
        uz(static_cast<float>(r.m[0][2] * scale)),
        vx(static_cast<float>(r.m[1][0] * scale)),
        vy(static_cast<float>(r.m[1][1] * scale)),
        vz(static_cast<float>(r.m[1][2] * scale)) {}
};

/// The padded transform: half floats, real and imaginary parts in turn, x fastest.
struct Cube {
  const std::uint16_t* values;
  std::size_t row, plane;  ///< half floats from one to the next
  float unit;              ///< of the values
};

/// Where pixels of a slice lie in the cube.
constexpr std::size_t kBlock = 64;
struct Places {
  int row[kBlock], column[kBlock];           ///< an offset itself would not fit into an int from box 646 on
  float fx[kBlock], fy[kBlock], fz[kBlock];  ///< between two coefficients
  float sign[kBlock];                        ///< -1: the conjugate
  const std::uint16_t* first[kBlock];        ///< of the eight coefficients about it
};

CRYORED_CLONES("default", "avx2")
void find_places(const SliceAxes& a, const float* kx, const float* ky, std::size_t count, float centre, int side,
                 Places& out) {
  for (std::size_t i = 0; i < count; ++i) {
    const float u = kx[i] * a.ux + ky[i] * a.vx;
    const float sign = std::copysign(1.f, u);  // the half with x < 0 is the conjugate of the other
    const float x = u * sign + 1, y = (kx[i] * a.uy + ky[i] * a.vy) * sign + centre,
                z = (kx[i] * a.uz + ky[i] * a.vz) * sign + centre;
    const int ix = static_cast<int>(x), iy = static_cast<int>(y), iz = static_cast<int>(z);
    out.sign[i] = sign;
    out.fx[i] = x - static_cast<float>(ix);
    out.fy[i] = y - static_cast<float>(iy);
    out.fz[i] = z - static_cast<float>(iz);
    out.row[i] = iz * side + iy;
    out.column[i] = 2 * ix;
  }
}

/// The cube is larger than the caches: what a block of pixels needs is on its way while the one before is worked on.
void fetch(const Cube& cube, std::size_t count, Places& at) {
  for (std::size_t i = 0; i < count; ++i) {
    at.first[i] = cube.values + static_cast<std::size_t>(at.row[i]) * cube.row + at.column[i];
    for (const std::size_t step : {std::size_t{0}, cube.row, cube.plane, cube.plane + cube.row})
      __builtin_prefetch(at.first[i] + step, 0,
                         2);  // the second-level cache: all of a block is more than the first holds
  }
}

void interpolate_generic(const Cube& cube, const Places& at, std::size_t count, std::complex<float>* out) {
  for (std::size_t i = 0; i < count; ++i) {
    // Two neighbouring coefficients at once, as four numbers.
    constexpr std::size_t kPair = 4;
    const std::uint16_t* first = at.first[i];
    std::uint16_t halves[4 * kPair];
    float c[4 * kPair], v[kPair];
    std::size_t next = 0;
    for (const std::size_t step : {std::size_t{0}, cube.plane, cube.row, cube.plane + cube.row})
      std::memcpy(halves + kPair * next++, first + step, kPair * sizeof *first);
    half_to_float(halves, c, 4 * kPair);
    for (std::size_t k = 0; k < kPair; ++k) {
      const float c0 = c[k] + at.fy[i] * (c[k + 2 * kPair] - c[k]),
                  c1 = c[k + kPair] + at.fy[i] * (c[k + 3 * kPair] - c[k + kPair]);
      v[k] = cube.unit * (c0 + at.fz[i] * (c1 - c0));
    }
    out[i] = {v[0] + at.fx[i] * (v[2] - v[0]), at.sign[i] * (v[1] + at.fx[i] * (v[3] - v[1]))};
  }
}

#if defined(CRYORED_F16C)
/// The same with the same roundings.
__attribute__((target("avx2,f16c"))) void interpolate_avx2(const Cube& cube, const Places& at, std::size_t count,
                                                           std::complex<float>* out) {
  const auto pair = [](const std::uint16_t* p) __attribute__((target("avx2,f16c"))) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  };
  const __m128 unit = _mm_set1_ps(cube.unit);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t* p = at.first[i];
    const __m256 a = _mm256_cvtph_ps(_mm_unpacklo_epi64(pair(p), pair(p + cube.plane))),
                 b = _mm256_cvtph_ps(_mm_unpacklo_epi64(pair(p + cube.row), pair(p + cube.row + cube.plane)));
    const __m256 along_y = _mm256_add_ps(a, _mm256_mul_ps(_mm256_set1_ps(at.fy[i]), _mm256_sub_ps(b, a)));
    const __m128 c0 = _mm256_castps256_ps128(along_y), c1 = _mm256_extractf128_ps(along_y, 1);
    const __m128 v = _mm_mul_ps(unit, _mm_add_ps(c0, _mm_mul_ps(_mm_set1_ps(at.fz[i]), _mm_sub_ps(c1, c0))));
    const __m128 along_x = _mm_add_ps(v, _mm_mul_ps(_mm_set1_ps(at.fx[i]), _mm_sub_ps(_mm_movehl_ps(v, v), v)));
    _mm_storel_pi(reinterpret_cast<__m64*>(out + i), _mm_mul_ps(along_x, _mm_setr_ps(1, at.sign[i], 0, 0)));
  }
}
const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
#endif

void interpolate(const Cube& cube, const Places& at, std::size_t count, std::complex<float>* out) {
#if defined(CRYORED_F16C)
  if (has_avx2) return interpolate_avx2(cube, at, count, out);
#endif
  interpolate_generic(cube, at, count, out);
}

}  // namespace

SlicePixels slice_pixels(std::size_t box, int radius) {
  SlicePixels p;
  p.box = box;
  p.radius = radius;
  for (int y = -radius; y <= radius; ++y)
    for (int x = 0; x <= radius; ++x) {
      if (x * x + y * y > radius * radius || (x == 0 && y < 0)) continue;
      p.kx.push_back(static_cast<float>(x));
      p.ky.push_back(static_cast<float>(y));
    }
  return p;
}

void move_slice(const SlicePixels& pixels, double dx, double dy, std::complex<float>* slice) {
  const double unit = -2 * std::numbers::pi / static_cast<double>(pixels.box);
  const int r = pixels.radius;
  std::vector<std::complex<float>> px(static_cast<std::size_t>(r) + 1), py(2 * static_cast<std::size_t>(r) + 1);
  for (int k = 0; k <= r; ++k) px[static_cast<std::size_t>(k)] = std::polar(1.f, static_cast<float>(unit * dx * k));
  for (int k = -r; k <= r; ++k)
    py[static_cast<std::size_t>(k + r)] = std::polar(1.f, static_cast<float>(unit * dy * k));
  for (std::size_t i = 0; i < pixels.size(); ++i)
    slice[i] *=
        px[static_cast<std::size_t>(pixels.kx[i])] * py[static_cast<std::size_t>(pixels.ky[i] + static_cast<float>(r))];
}

Map image_from_slice(const SlicePixels& pixels, const std::complex<float>* slice, double dx, double dy) {
  std::vector<std::complex<float>> moved(slice, slice + pixels.size());
  if (dx != 0 || dy != 0) move_slice(pixels, dx, dy, moved.data());
  const std::size_t n = pixels.box;
  HalfTransform t(n / 2 + 1, n, 1);
  t.fill(0);
  const auto limit = static_cast<float>(n / 2);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const float kx = pixels.kx[i], ky = pixels.ky[i];
    if (kx >= limit || std::abs(ky) >= limit) continue;  // the Nyquist lines have no unique sign
    const auto x = static_cast<std::size_t>(kx);
    const auto y = static_cast<std::size_t>(ky < 0 ? ky + static_cast<float>(n) : ky);
    t(x, y, 0) = moved[i];
    if (x == 0 && ky > 0) t(0, n - y, 0) = std::conj(moved[i]);
  }
  centre(t);
  return inverse(t, n);
}

Projector::Projector(const Map& map, int padding, int radius) : padding_(padding) {
  const std::size_t n = map.nx, padded = n * static_cast<std::size_t>(padding);
  Map compensated = map;
  divide_by_envelope(compensated, padded);
  const HalfTransform t = forward_padded(compensated, padded);
  // 1/P^3 of forward() to the 1/N^2 of a projected sum.
  const auto scale = static_cast<float>(std::pow(static_cast<double>(padded), 3) / std::pow(static_cast<double>(n), 2));
  const long reach = std::min<long>(static_cast<long>(padding) * radius + 1, static_cast<long>(padded / 2) - 1);
  centre_ = static_cast<long>(padding) * radius + 2;
  side_ = 2 * centre_ + 1;
  // Half of it, and the plane before: the other half is the conjugate, and what is smaller stays in the caches.
  width_ = centre_ + 2;
  cube_.resize(static_cast<std::size_t>(2 * side_ * side_ * width_));
  float largest = 0;
  const auto* const parts = reinterpret_cast<const float*>(t.data.data());
#pragma omp parallel for simd num_threads(threads()) reduction(max : largest)
  for (std::size_t i = 0; i < 2 * t.size(); ++i) largest = std::max(largest, std::abs(parts[i]));
  // A power of two below the largest half float: far weaker coefficients keep their digits, too. Itself a float.
  const float to_halves = largest > 0 ? std::exp2(std::min(126.f, 14 - std::floor(std::log2(largest)))) : 1.f;
  unit_ = scale / to_halves;
  const auto p = static_cast<long>(padded);
  const auto row = [&](long y, long z) {
    return &t(0, static_cast<std::size_t>((y + p) % p), static_cast<std::size_t>((z + p) % p));
  };
  const auto along = static_cast<std::size_t>(reach + 2), room = static_cast<std::size_t>(width_);
#pragma omp parallel for num_threads(threads()) schedule(static)
  for (long z = -centre_; z <= centre_; ++z) {
    std::vector<std::complex<float>> line(room);  // zero beyond `along`
    std::uint16_t* to = &cube_[static_cast<std::size_t>(2 * (z + centre_) * side_ * width_)];
    for (long y = -centre_; y <= centre_; ++y, to += 2 * room) {
      if (std::abs(z) > reach || std::abs(y) > reach) {
        std::fill_n(to, 2 * room, std::uint16_t{0});
        continue;
      }
      // The origin at pixel N/2: what centre() does, here without a pass over the transform.
      const float even = (y + z) % 2 == 0 ? to_halves : -to_halves;
      line[0] = std::conj(row(-y, -z)[1]) * -even;
      const std::complex<float>* values = row(y, z);
      for (std::size_t x = 0; x + 1 < along; ++x) line[x + 1] = values[x] * (x % 2 == 0 ? even : -even);
      float_to_half(reinterpret_cast<const float*>(line.data()), to, 2 * room);
    }
  }
}

void Projector::slice(const SlicePixels& pixels, const Rotation& rotation, std::complex<float>* out) const {
  const SliceAxes axes(rotation, padding_);
  const std::size_t row = 2 * static_cast<std::size_t>(width_);
  const Cube cube{cube_.data(), row, row * static_cast<std::size_t>(side_), unit_};
  Places places[2];
  const auto find = [&](std::size_t begin, Places& at) {
    const std::size_t count = std::min(kBlock, pixels.size() - begin);
    find_places(axes, pixels.kx.data() + begin, pixels.ky.data() + begin, count, static_cast<float>(centre_),
                static_cast<int>(side_), at);
    fetch(cube, count, at);
    return count;
  };
  std::size_t count = find(0, places[0]);
  for (std::size_t begin = 0, block = 0; count > 0; ++block) {
    const std::size_t after = begin + count;
    const std::size_t next = after < pixels.size() ? find(after, places[(block + 1) % 2]) : 0;
    interpolate(cube, places[block % 2], count, out + begin);
    begin = after;
    count = next;
  }
}

Backprojector::Backprojector(std::size_t box, int radius)
    : box_(box),
      radius_(radius),
      centre_(radius + 2),
      side_(2 * (radius + 2) + 1),
      data_(static_cast<std::size_t>(side_ * side_ * side_)),
      weight_(data_.size()) {}

void Backprojector::insert(const SlicePixels& pixels, const Rotation& rotation, const std::complex<float>* values,
                           float weight) {
  const SliceAxes a(rotation, 1);
  const auto c = static_cast<float>(centre_);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const float kx = pixels.kx[i], ky = pixels.ky[i];
    const float x = kx * a.ux + ky * a.vx + c, y = kx * a.uy + ky * a.vy + c, z = kx * a.uz + ky * a.vz + c;
    const auto ix = static_cast<long>(x), iy = static_cast<long>(y), iz = static_cast<long>(z);
    const float fx = x - static_cast<float>(ix), fy = y - static_cast<float>(iy), fz = z - static_cast<float>(iz);
    const auto value = values[i] * weight;
    for (int dz = 0; dz < 2; ++dz)
      for (int dy = 0; dy < 2; ++dy) {
        const float wzy = (dz ? fz : 1 - fz) * (dy ? fy : 1 - fy);
        const auto at = static_cast<std::size_t>(((iz + dz) * side_ + iy + dy) * side_ + ix);
        data_[at] += value * (wzy * (1 - fx));
        data_[at + 1] += value * (wzy * fx);
        weight_[at] += weight * wzy * (1 - fx);
        weight_[at + 1] += weight * wzy * fx;
      }
  }
}

std::vector<double> Backprojector::shell_weight() const {
  std::vector<double> sum(static_cast<std::size_t>(radius_) + 1), count(sum.size());
  for (long z = -radius_; z <= radius_; ++z)
    for (long y = -radius_; y <= radius_; ++y)
      for (long x = -radius_; x <= radius_; ++x) {
        const auto s = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(x * x + y * y + z * z))));
        if (s >= sum.size()) continue;
        const auto at = static_cast<std::size_t>(((z + centre_) * side_ + y + centre_) * side_ + x + centre_);
        sum[s] += weight_[at] + weight_[weight_.size() - 1 - at];  // with the Friedel mate
        count[s] += 1;
      }
  for (std::size_t s = 0; s < sum.size(); ++s) sum[s] = count[s] > 0 ? sum[s] / count[s] : 0;
  return sum;
}

Map Backprojector::unregularised() const {
  const auto mean_weight = shell_weight();
  HalfTransform t(box_ / 2 + 1, box_, box_);
  t.fill(0);
  const auto n = static_cast<long>(box_);
  const long limit = std::min<long>(radius_, n / 2 - 1);
  for (long z = -limit; z <= limit; ++z)
    for (long y = -limit; y <= limit; ++y)
      for (long x = 0; x <= limit; ++x) {
        const long k2 = x * x + y * y + z * z;
        if (k2 >= static_cast<long>(radius_) * radius_) continue;
        const auto s = static_cast<std::size_t>(std::lround(std::sqrt(static_cast<double>(k2))));
        const auto at = static_cast<std::size_t>(((z + centre_) * side_ + y + centre_) * side_ + x + centre_);
        const auto mate = data_.size() - 1 - at;  // the centred cube's point reflection
        const auto b = data_[at] + std::conj(data_[mate]);
        const double k = std::max(static_cast<double>(weight_[at] + weight_[mate]), 1e-3 * mean_weight[s]);
        if (k <= 0) continue;
        t(static_cast<std::size_t>(x), static_cast<std::size_t>((y + n) % n), static_cast<std::size_t>((z + n) % n)) =
            b * static_cast<float>(1.0 / (k * static_cast<double>(box_)));
      }
  centre(t);
  Map map = inverse(t, box_);
  divide_by_envelope(map, box_);
  return map;
}

}  // namespace cryored
