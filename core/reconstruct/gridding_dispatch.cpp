#include <cstdlib>
#include <string_view>

#include "core/reconstruct/gridding_kernels.hpp"

namespace cryored::batch {

template <typename Real>
const Kernels<Real>& kernels() {
#ifdef CRYORED_X86
  static const Kernels<Real>* const best = [] {
    const char* wanted = std::getenv("CRYORED_SIMD");
    const std::string_view limit = wanted ? wanted : "";
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    if (limit == "generic") return generic_kernels<Real>();
    if (avx512 && limit != "avx2") return avx512_kernels<Real>();
    return avx2 ? avx2_kernels<Real>() : generic_kernels<Real>();
  }();
  return *best;
#else
  return *generic_kernels<Real>();
#endif
}

template const Kernels<float>& kernels<float>();
template const Kernels<double>& kernels<double>();

}  // namespace cryored::batch
