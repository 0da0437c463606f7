#pragma once
// The soft mask of a structure: inside it every map is compared with the truth.

#include "core/fourier/grid.hpp"

namespace cryored {

/// 1 where the truth, low-passed by a Gaussian of half height at 15 A, exceeds 15 % of its
/// maximum, and within `extend` of there; falls to 0 over `edge` as a raised cosine (both A).
/// Cubic map; `voxel` in A.
Map truth_mask(const Map& truth, double voxel, double extend = 5, double edge = 10);

}  // namespace cryored
