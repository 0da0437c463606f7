#include "core/reconstruct/gridding_kernels.hpp"

namespace cryored::batch {
namespace {
namespace avx2 {
// NOLINTBEGIN(bugprone-suspicious-include)
#include "core/reconstruct/batch_fft.inl"
#include "core/reconstruct/gridding_kernels.inl"
// NOLINTEND(bugprone-suspicious-include)
}  // namespace avx2
}  // namespace

template <>
const Kernels<float>* avx2_kernels<float>() {
  static const Kernels<float> set = avx2::make_kernels<float, 8>("avx2");
  return &set;
}
template <>
const Kernels<double>* avx2_kernels<double>() {
  static const Kernels<double> set = avx2::make_kernels<double, 4>("avx2");
  return &set;
}

}  // namespace cryored::batch
