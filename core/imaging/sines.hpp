#pragma once
#include <cstddef>

namespace cryored {

/// out = sin(angles), for finite angles, within 4 units in the last place: several at a time by the C library's vector
/// functions where it has them.
void sines(const double* angles, std::size_t n, double* out);

}  // namespace cryored
