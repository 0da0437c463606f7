#pragma once
// Maps that several tests use.

#include <algorithm>
#include <cmath>
#include <random>

#include "core/fourier/grid.hpp"

namespace cryored {

/// Smooth asymmetric density within 0.7 of the box's radius.
inline Map blobs(std::size_t n, double sigma, unsigned seed) {
  Map map(n, n, n);
  map.fill(0);
  std::mt19937 engine(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  const double c = static_cast<double>(n / 2), reach = 0.7 * c - 2 * sigma;
  for (int i = 0; i < 25;) {
    const double x = uniform(engine), y = uniform(engine), z = uniform(engine);
    if (x * x + y * y + z * z > 1) continue;
    const double weight = 1.5 + uniform(engine);
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t j = 0; j < n; ++j)
        for (std::size_t l = 0; l < n; ++l) {
          const double dx = static_cast<double>(l) - c - x * reach, dy = static_cast<double>(j) - c - y * reach;
          const double dz = static_cast<double>(k) - c - z * reach;
          map(l, j, k) += static_cast<float>(weight * std::exp(-(dx * dx + dy * dy + dz * dz) / (2 * sigma * sigma)));
        }
    ++i;
  }
  return map;
}

/// RMS of a - b over that of b, within `radius` voxels of the centre.
inline double relative_difference(const Map& a, const Map& b, double radius) {
  double difference = 0, power = 0;
  const double c = static_cast<double>(a.nx / 2);
  for (std::size_t z = 0; z < a.nz; ++z)
    for (std::size_t y = 0; y < a.ny; ++y)
      for (std::size_t x = 0; x < a.nx; ++x) {
        const double dx = static_cast<double>(x) - c, dy = static_cast<double>(y) - c, dz = static_cast<double>(z) - c;
        if (dx * dx + dy * dy + dz * dz > radius * radius) continue;
        difference += std::pow(static_cast<double>(a(x, y, z)) - b(x, y, z), 2);
        power += std::pow(static_cast<double>(b(x, y, z)), 2);
      }
  return std::sqrt(difference / power);
}

}  // namespace cryored
