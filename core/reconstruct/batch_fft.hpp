#pragma once
// Complex transforms of many sequences at once, one per SIMD lane, for the lengths that the
// gridding grid takes: M = 2 (R + 1) + 1 is odd and often holds a large prime (515 = 5 * 103),
// where FFTW is ten times slower than at smooth lengths. Here a prime factor r is a dense
// (r-1)/2 x (r-1)/2 product over all lanes, which runs near the machine's peak up to r of some
// hundreds. Instruction sets are chosen at run time: generic x86-64, AVX2 + FMA, AVX-512.
//
// Data of one transform: n elements of [re lane 0 .. L-1 | im lane 0 .. L-1].

#include <cstddef>
#include <vector>

#include "core/fourier/grid.hpp"

namespace cryored::batch {

/// One Stockham stage: radix r over m blocks of stride s.
template <typename Real>
struct Stage {
  int radix, m, s;
  const Real* twiddles;  ///< [m][radix - 1][2], exp(-2 pi i p j / (radix m))
  const Real* cosines;   ///< radices above 5: packed [ceil(h / 6)][h][6], h = (radix - 1) / 2
  const Real* sines;
};

/// What the kernels see of a plan; plain data, so that they need no library code.
template <typename Real>
struct PlanView {
  int n;
  int stage_count;
  const Stage<Real>* stages;
};

template <typename Real>
class Plan {
 public:
  explicit Plan(int n);
  PlanView<Real> view() const { return {n_, static_cast<int>(stages_.size()), stages_.data()}; }
  int length() const { return n_; }
  /// Reals that one buffer needs; the kernels take three of them (data, and two for work).
  std::size_t buffer_size(int lanes) const {
    return (static_cast<std::size_t>(n_) + 2) * 2 * static_cast<std::size_t>(lanes);
  }

 private:
  int n_;
  std::vector<Stage<Real>> stages_;
  std::vector<std::vector<Real>> tables_;
};

}  // namespace cryored::batch
