#pragma once
// The grey scale on which networks see maps: the one implementation, used by training
// and by the denoiser alike.

#include <cstddef>
#include <string>

#include "core/fourier/grid.hpp"

namespace cryored {

/// How the scale of a map is measured. No rule shifts the map: solvent stays at its level,
/// because RELION's unregularised maps have their background at zero already.
enum class Normalisation {
  none,                ///< scale 1
  standard_deviation,  ///< over the whole box, about its mean; falls when the box grows around the same molecule
  /// sqrt(sum v^4 / (3 sum v^2)): the root mean square of the map weighted by its own square.
  /// Equal to the standard deviation for Gaussian noise about zero; empty space around a
  /// molecule does not change it.
  contrast,
};

const char* to_string(Normalisation rule);
bool from_string(const std::string& text, Normalisation& rule);

/// Scale of `count` voxels: network input = voxel / scale, map = network output * scale. Always positive; 1 for a
/// constant map. Sums in double, in a fixed order. Throws InputError when a value is NaN or infinite.
float map_scale(const float* voxels, std::size_t count, Normalisation rule);
inline float map_scale(const Map& map, Normalisation rule) { return map_scale(map.data.data(), map.size(), rule); }

}  // namespace cryored
