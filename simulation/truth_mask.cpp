#include "simulation/truth_mask.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/base/error.hpp"
#include "core/fourier/filter.hpp"

namespace cryored {
namespace {

/// Squared distance to the nearest set voxel along one line, added to what the axes before
/// gave (lower envelope of parabolas, Felzenszwalb and Huttenlocher 2012).
void distance_line(const std::vector<double>& f, std::vector<double>& d) {
  const std::size_t n = f.size();
  std::vector<std::size_t> v(n, 0);
  std::vector<double> bound(n + 1);
  std::size_t k = 0;
  bound[0] = -1e30;
  bound[1] = 1e30;
  const auto meet = [&f](std::size_t q, std::size_t p) {
    const double a = static_cast<double>(q), b = static_cast<double>(p);
    return (f[q] + a * a - f[p] - b * b) / (2 * (a - b));
  };
  for (std::size_t q = 1; q < n; ++q) {
    double s = meet(q, v[k]);
    while (k > 0 && s <= bound[k]) s = meet(q, v[--k]);
    v[++k] = q;
    bound[k] = s;
    bound[k + 1] = 1e30;
  }
  k = 0;
  for (std::size_t q = 0; q < n; ++q) {
    while (bound[k + 1] < static_cast<double>(q)) ++k;
    const double step = static_cast<double>(q) - static_cast<double>(v[k]);
    d[q] = step * step + f[v[k]];
  }
}

}  // namespace

Map truth_mask(const Map& truth, double voxel, double extend, double edge) {
  const std::size_t n = truth.nx;
  if (n == 0 || truth.ny != n || truth.nz != n || !(voxel > 0))
    throw UsageError({"mask of the truth", "map", std::to_string(n) + " voxels of " + std::to_string(voxel) + " A",
                      "a cubic map with a voxel size", ""});
  const double per_shell = 15 / (static_cast<double>(n) * voxel);
  const Map smooth = filtered(truth, [per_shell](double k) {
    const double s = k * per_shell;
    return std::exp(-std::numbers::ln2 * s * s);
  });
  const float maximum = *std::max_element(smooth.data.begin(), smooth.data.end());
  if (!(maximum > 0)) throw InputError({"mask of the truth", "map", "no positive density", "a density map", ""});

  std::vector<double> distance(truth.size());
  for (std::size_t i = 0; i < distance.size(); ++i) distance[i] = smooth.data[i] > 0.15f * maximum ? 0 : 1e12;
  std::vector<double> line(n), out(n);
  for (const std::size_t stride : {std::size_t{1}, n, n * n})
    for (std::size_t i = 0; i < truth.size(); ++i) {
      if ((i / stride) % n != 0) continue;  // i starts a line along this axis
      for (std::size_t k = 0; k < n; ++k) line[k] = distance[i + k * stride];
      distance_line(line, out);
      for (std::size_t k = 0; k < n; ++k) distance[i + k * stride] = out[k];
    }

  Map mask(n, n, n);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const double beyond = (std::sqrt(distance[i]) * voxel - extend) / edge;
    mask.data[i] = beyond <= 0   ? 1.0f
                   : beyond >= 1 ? 0.0f
                                 : static_cast<float>(0.5 + 0.5 * std::cos(std::numbers::pi * beyond));
  }
  return mask;
}

}  // namespace cryored
