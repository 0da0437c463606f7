#include "core/reconstruct/gridding_kernels.hpp"

namespace cryored::batch {
namespace {
namespace avx512 {
// NOLINTBEGIN(bugprone-suspicious-include)
#include "core/reconstruct/batch_fft.inl"
#include "core/reconstruct/gridding_kernels.inl"
// NOLINTEND(bugprone-suspicious-include)
}  // namespace avx512
}  // namespace

template <>
const Kernels<float>* avx512_kernels<float>() {
  static const Kernels<float> set = avx512::make_kernels<float, 16>("avx512");
  return &set;
}
template <>
const Kernels<double>* avx512_kernels<double>() {
  static const Kernels<double> set = avx512::make_kernels<double, 8>("avx512");
  return &set;
}

}  // namespace cryored::batch
