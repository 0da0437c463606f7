#pragma once
// How far refined orientations are from the true ones.

#include <cstddef>
#include <string>
#include <vector>

#include "core/fourier/grid.hpp"
#include "simulation/orientation.hpp"

namespace cryored {

/// Orientation of one particle, named by its image: 1-based index and file name of the
/// stack without folders ("000012@particles.mrcs" -> 12, "particles.mrcs").
struct Pose {
  std::size_t index = 0;
  std::string stack;
  EulerAngles angles;               ///< degrees
  double x_shift = 0, y_shift = 0;  ///< rlnOriginXAngst, rlnOriginYAngst, A
};

/// Reads rlnImageName, rlnAngleRot/Tilt/Psi and rlnOriginX/YAngst of block data_particles
/// (RELION >= 3.1). Throws InputError naming file, block, label and row.
std::vector<Pose> read_poses(const std::string& star_path);

/// Geodesic angles between refined and true orientations after ONE rotation of the whole
/// refined map has been fitted, since a refinement fixes the map's frame only up to that.
struct PoseErrors {
  std::vector<double> degrees;  ///< in the order of `refined`
  Rotation global;              ///< refined = true * global
  double median = 0, percentile90 = 0;
  double share_within_10 = 0;  ///< 0 .. 1
};

/// With A the matrix of a particle (volume to image), finds the rotation G that best
/// explains A_refined = A_true S G, where S runs over `self_rotations` (rotations that map
/// the structure onto itself, the identity included; just {identity} without symmetry),
/// by iteratively reweighted least squares (weights 1 / (1 + (e / 15 degrees)^2)) from many
/// starts. Poses are matched by image name. Throws InputError when a refined particle has
/// no true pose or occurs twice, or when there are none.
PoseErrors pose_errors(const std::vector<Pose>& refined, const std::vector<Pose>& truth,
                       const std::vector<Rotation>& self_rotations = {Rotation{}});

/// Rotations about voxel N/2 that lay the map onto itself, FSC 0.5 or more in the mean of the shells from 2.5 times
/// `resolution` (A) to `resolution`: its symmetry and pseudo-symmetry. The identity comes first; rotations nearer than
/// 10 degrees to an earlier one are left out. `voxel` in A.
std::vector<Rotation> self_rotations(const Map& map, double voxel, double resolution);

}  // namespace cryored
