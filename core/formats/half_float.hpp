#pragma once
// IEEE binary16 to and from float, for any x86-64 (no F16C needed): plain integer steps
// that the compiler vectorises, and that do not depend on the denormal mode of the CPU.

#include <cstddef>
#include <cstdint>

namespace cryored {

/// out[i] = in[i]; exact. NaN payloads are kept, infinities stay infinities.
void half_to_float(const std::uint16_t* in, float* out, std::size_t count);

/// Round to nearest, ties to even. Values of 65520 and more become infinite.
void float_to_half(const float* in, std::uint16_t* out, std::size_t count);

}  // namespace cryored
