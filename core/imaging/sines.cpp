// A file of its own: the compiler uses the C library's vector functions under -ffast-math only, which nothing else
// should be compiled with.

#include "core/imaging/sines.hpp"

#include <cmath>

namespace cryored {

// The C library chooses for SSE by itself, but wider vectors are wider calls.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx2", "default")))
#endif
void sines(const double* angles, std::size_t n, double* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = std::sin(angles[i]);
}

}  // namespace cryored
