#include "core/reconstruct/gridding_kernels.hpp"

namespace cryored::batch {
namespace {
namespace generic {
// NOLINTBEGIN(bugprone-suspicious-include)
#include "core/reconstruct/batch_fft.inl"
#include "core/reconstruct/gridding_kernels.inl"
// NOLINTEND(bugprone-suspicious-include)
}  // namespace generic
}  // namespace

template <>
const Kernels<float>* generic_kernels<float>() {
  static const Kernels<float> set = generic::make_kernels<float, 4>("generic");
  return &set;
}
template <>
const Kernels<double>* generic_kernels<double>() {
  static const Kernels<double> set = generic::make_kernels<double, 2>("generic");
  return &set;
}

}  // namespace cryored::batch
