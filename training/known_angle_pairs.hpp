#pragma once
// Training pairs from RELION's reconstruction with known orientations that were turned and moved a little: RELION's
// weights, spectrum and gridding at the cost of seconds, for resolutions at which a refinement has found its
// orientations. What a refinement aligned to its own noise is not in them.

#include <cstdint>
#include <vector>

#include "training/pairs.hpp"

namespace cryored {

struct KnownAngleOptions {
  PairOptions pair;  ///< box, voxel, SNR and particles per half as there; rounds: reconstructions, two pairs each
  double least_angle = 0.5, most_angle = 8;  ///< degrees, SD of each component of the turn, drawn log-uniformly
  double least_shift = 0.1, most_shift = 1;  ///< pixels, SD per axis, drawn log-uniformly
};

/// 2 * rounds pairs of one structure for one seed (deterministic): particles simulated, orientations and origins
/// disturbed alike in both halves, each half through relion_reconstruct without prior, cut 8 to 12 shells beyond the
/// half-map FSC of 0.143. The disturbance is ours, not --angular_error, whose random numbers change from call to call.
/// Throws SystemError where relion_reconstruct is missing or fails.
std::vector<TrainingPair> known_angle_pairs(const Structure& structure, const KnownAngleOptions& options,
                                            std::uint64_t seed);

}  // namespace cryored
