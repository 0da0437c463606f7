#pragma once
// IEEE binary16 to and from float, the same on every processor: F16C where it is there, else plain integer steps that
// the compiler vectorises. Neither depends on the denormal mode of the CPU.

#include <cstddef>
#include <cstdint>

namespace cryored {

/// out[i] = in[i]; exact. NaN stays NaN, infinities stay infinities.
void half_to_float(const std::uint16_t* in, float* out, std::size_t count);

/// Round to nearest, ties to even. Values of 65520 and more become infinite.
void float_to_half(const float* in, std::uint16_t* out, std::size_t count);

}  // namespace cryored
