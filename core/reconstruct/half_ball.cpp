// The half ball of coefficients and what the request's numbers make of it.

#include <algorithm>
#include <cmath>

#include "core/fourier/fft.hpp"
#include "core/reconstruct/pipeline.hpp"

namespace cryored {
namespace {

/// Largest integer whose square is at most `value`.
int integer_root(long value) {
  long root = static_cast<long>(std::sqrt(static_cast<double>(value)));
  while (root * root > value) --root;
  while ((root + 1) * (root + 1) <= value) ++root;
  return static_cast<int>(root);
}

}  // namespace

HalfBall::HalfBall(int cut_radius, int dimensions) : radius(cut_radius), dimensionality(dimensions) {
  const long inside = static_cast<long>(radius) * radius - 1;  // |k|^2 < R^2
  const auto row = [&](int ky) {
    for (int kx = 0; inside - static_cast<long>(ky) * ky - static_cast<long>(kx) * kx >= 0; ++kx) {
      const int reach = integer_root(inside - static_cast<long>(ky) * ky - static_cast<long>(kx) * kx);
      columns.push_back({kx, ky, reach, size});
      size += static_cast<std::size_t>(2 * reach + 1);
    }
  };
  if (dimensionality == 2) {
    row(0);
    return;
  }
  for (int ky = 0; ky < radius; ++ky) row(ky);
  for (int ky = 1 - radius; ky < 0; ++ky) row(ky);
}

int workers(const HalfBall& ball) { return ball.size < 100000 ? 1 : threads(); }

int cut_radius(const ReconstructRequest& request) {
  const int r_max = std::min(request.current_size / 2, request.box / 2);
  return static_cast<int>(std::floor(request.padding * r_max + 0.5));
}

double padding_volume(const ReconstructRequest& request) { return std::pow(request.padding, request.dimensionality); }

std::vector<double> inverse_tau2(const ReconstructRequest& request) {
  std::vector<double> inverse;
  for (const double tau2 : request.tau2)
    inverse.push_back(tau2 > 0 ? 1 / (padding_volume(request) * request.tau2_fudge * tau2) : 0);
  return inverse;
}

void column_shells(const ReconstructRequest& request, const HalfBall::Column& column, int* shells) {
  const long in_plane = static_cast<long>(column.kx) * column.kx + static_cast<long>(column.ky) * column.ky;
  for (long k = 0; k <= column.reach; ++k) {
    const double radius = std::sqrt(static_cast<double>(in_plane + k * k)) / request.padding;
    const int shell = std::min(static_cast<int>(std::floor(radius + 0.5)), request.box / 2);
    shells[column.reach + k] = shells[column.reach - k] = shell;
  }
}

}  // namespace cryored
