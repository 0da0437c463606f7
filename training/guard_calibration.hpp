#pragma once
// What the guard's figure means: on pairs of structures that the network has not seen, how the share that the denoiser
// creates by itself goes with how right its output is (docs/guard.md).

#include <functional>
#include <vector>

#include "training/pairs.hpp"

namespace cryored {

/// One shell of one pair that the guard looked at.
struct GuardSample {
  double created = 0;      ///< created_agreement()
  double correlation = 0;  ///< of the denoiser's output with the truth
};

/// Runs the guard on a pair: phases random from the first shell whose half-map FSC lies below `level`, two copies.
std::vector<GuardSample> guard_samples(const TrainingPair& pair, const Map& denoised, double level,
                                       const std::function<Map(const Map&)>& denoiser);

/// How well `created` tells wrong shells (correlation below 0.5) from right ones.
struct GuardScore {
  double level = 0;
  std::size_t shells = 0, wrong = 0;
  double created_right = 0, created_wrong = 0;  ///< means
  /// Chance that a wrong shell has more of it than a right one; 0.5: it tells nothing.
  double separation = 0.5;
  double bound = 0;   ///< that 5 % of the right shells exceed
  double caught = 0;  ///< share of the wrong shells that exceed it
};
GuardScore guard_score(double level, const std::vector<GuardSample>& samples);

}  // namespace cryored
