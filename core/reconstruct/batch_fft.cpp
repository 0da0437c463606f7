#include "core/reconstruct/batch_fft.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cryored::batch {
namespace {

/// Small factors first: the last stage has m = 1 and needs no twiddles, so the dearest goes there.
std::vector<int> factorise(int n) {
  std::vector<int> factors;
  for (int r : {4, 2, 3, 5})
    while (n % r == 0) {
      factors.push_back(r);
      n /= r;
    }
  for (int r = 7; n > 1; r += 2) {
    if (r * r > n) r = n;
    while (n % r == 0) {
      factors.push_back(r);
      n /= r;
    }
  }
  return factors;
}

}  // namespace

template <typename Real>
Plan<Real>::Plan(int n) : n_(n) {
  constexpr double two_pi = 2 * std::numbers::pi;
  int left = n, stride = 1;
  for (const int r : factorise(n)) {
    const int m = left / r;
    Stage<Real> stage{r, m, stride, nullptr, nullptr, nullptr};
    auto& twiddles = tables_.emplace_back();
    for (long p = 0; p < m; ++p)
      for (long j = 1; j < r; ++j) {
        const double angle = two_pi * static_cast<double>(p * j % left) / left;
        twiddles.push_back(static_cast<Real>(std::cos(angle)));
        twiddles.push_back(static_cast<Real>(-std::sin(angle)));
      }
    stage.twiddles = twiddles.data();
    if (r > 5) {
      const long h = (r - 1) / 2, blocks = (h + 5) / 6;
      std::vector<Real> cosines, sines;
      for (long block = 0; block < blocks; ++block)
        for (long k = 1; k <= h; ++k)
          for (long j = 6 * block + 1; j <= 6 * block + 6; ++j) {
            const double angle = two_pi * static_cast<double>(j * k % r) / r;
            cosines.push_back(static_cast<Real>(j <= h ? std::cos(angle) : 0));
            sines.push_back(static_cast<Real>(j <= h ? std::sin(angle) : 0));
          }
      stage.cosines = tables_.emplace_back(std::move(cosines)).data();
      stage.sines = tables_.emplace_back(std::move(sines)).data();
    }
    stages_.push_back(stage);
    left = m;
    stride *= r;
  }
}

template class Plan<float>;
template class Plan<double>;

}  // namespace cryored::batch
