// The batched transforms against the definition, for every instruction set of this machine.

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <random>

#include "core/reconstruct/gridding_kernels.hpp"
#include "core/reconstruct/pipeline.hpp"

namespace cryored::batch {
namespace {

template <typename Real>
std::vector<const Kernels<Real>*> sets() {
  std::vector<const Kernels<Real>*> result{generic_kernels<Real>()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) result.push_back(avx2_kernels<Real>());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl"))
    result.push_back(avx512_kernels<Real>());
#endif
  return result;
}

template <typename Real>
void compare_with_definition(const Kernels<Real>& kernels, int n, bool inverse, double tolerance) {
  const Plan<Real> plan(n);
  const auto lanes = static_cast<std::size_t>(kernels.lanes), length = static_cast<std::size_t>(n);
  const std::size_t size = plan.buffer_size(kernels.lanes);
  AlignedVector<Real> buffers(3 * size);
  std::mt19937 random(static_cast<unsigned>(n));
  std::normal_distribution<double> normal;
  std::vector<std::complex<double>> input(length * lanes);
  for (std::size_t i = 0; i < length; ++i)
    for (std::size_t l = 0; l < lanes; ++l) {
      input[i * lanes + l] = {normal(random), normal(random)};
      buffers[2 * i * lanes + l] = static_cast<Real>(input[i * lanes + l].real());
      buffers[(2 * i + 1) * lanes + l] = static_cast<Real>(input[i * lanes + l].imag());
    }
  const Real* result =
      kernels.transform(plan.view(), buffers.data(), buffers.data() + size, buffers.data() + 2 * size, inverse);
  double worst = 0;
  for (std::size_t k = 0; k < length; ++k) {
    std::vector<std::complex<double>> sum(lanes);
    for (std::size_t i = 0; i < length; ++i) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(i * k % length) / n;
      const std::complex<double> phase(std::cos(angle), inverse ? std::sin(angle) : -std::sin(angle));
      for (std::size_t l = 0; l < lanes; ++l) sum[l] += input[i * lanes + l] * phase;
    }
    for (std::size_t l = 0; l < lanes; ++l) {
      const std::complex<double> got(static_cast<double>(result[2 * k * lanes + l]),
                                     static_cast<double>(result[(2 * k + 1) * lanes + l]));
      worst = std::max(worst, std::abs(got - sum[l]));
    }
  }
  EXPECT_LT(worst / std::sqrt(n), tolerance) << kernels.name << ", n = " << n << (inverse ? ", inverse" : ", forward");
}

// Every radix with its own code, odd primes small and large, products, the grid of box 256 at padding 2.
const int lengths[] = {1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 25, 35, 48, 49, 64, 67, 84, 101, 131, 135, 210, 259, 515};

TEST(BatchFft, SingleAgreesWithTheDefinition) {
  for (const auto* kernels : sets<float>())
    for (const int n : lengths)
      for (const bool inverse : {false, true}) compare_with_definition(*kernels, n, inverse, 1e-5);
}

TEST(BatchFft, DoubleAgreesWithTheDefinition) {
  for (const auto* kernels : sets<double>())
    for (const int n : lengths)
      for (const bool inverse : {false, true}) compare_with_definition(*kernels, n, inverse, 1e-12);
}

}  // namespace
}  // namespace cryored::batch
