#pragma once
// Filters that depend on |k| alone.

#include <cmath>
#include <utility>

#include "core/fourier/fft.hpp"
#include "core/fourier/grid.hpp"

namespace cryored {

/// Multiplies each coefficient by factor(|k|), k in units of 1/(N pixel size).
template <typename Factor>
void filter(HalfTransform& t, const Factor& factor) {
  for (std::size_t z = 0; z < t.nz; ++z)
    for (std::size_t y = 0; y < t.ny; ++y)
      for (std::size_t x = 0; x < t.nx; ++x) {
        const auto kx = static_cast<double>(x), ky = static_cast<double>(signed_frequency(y, t.ny)),
                   kz = static_cast<double>(signed_frequency(z, t.nz));
        t(x, y, z) *= static_cast<float>(factor(std::sqrt(kx * kx + ky * ky + kz * kz)));
      }
}

/// The cubic map (or square image) so filtered.
template <typename Factor>
Map filtered(const Map& map, const Factor& factor) {
  HalfTransform t = forward(map);
  filter(t, factor);
  return inverse(std::move(t), map.nx);
}

}  // namespace cryored
