#pragma once
// One method against others on the same particles: are the goals met.

#include <string>
#include <vector>

#include "evaluation/phase_score.hpp"

namespace cryored {

/// What a method must reach against each other one, for single images and for means of exposures alike.
struct PhaseGoals {
  double area_ratio = 1.05;  ///< at least: median area over the other's median area
  /// The median resolution at FRC 0.5 must not be worse than the other's; there is no allowance.
};

/// `candidate` against `baseline`, of one structure at one dose.
struct PhaseComparison {
  std::string structure, baseline;
  double dose = 0;
  bool mean = false;  ///< of exposures; else single images
  double area = 0, other_area = 0;
  double ratio = 0;                             ///< area / other_area; infinite where the other's is not above 0
  double low = 0, high = 0;                     ///< 95 % interval of the ratio, views drawn anew (bootstrap)
  double resolution = 0, other_resolution = 0;  ///< A
  double outline_ratio = 0;                     ///< of the medians of the area under the truth's outline
  double share_better = 0;                      ///< of the particles (or views) whose own area is larger
  bool area_met = false, resolution_met = false;
  bool met() const { return area_met && resolution_met; }
};

/// Both scores are of the same particles in the same order, `exposures` of each view. Throws UsageError otherwise.
PhaseComparison compare_phases(const PhaseScore& candidate, const PhaseScore& baseline, int exposures, bool mean,
                               const PhaseGoals& goals = {});

/// In words, a line each: how many comparisons met each goal, and every one that missed, with its figures. One line
/// that says so where there is nothing to compare.
std::vector<std::string> verdict_lines(const std::string& candidate, const std::vector<PhaseComparison>& comparisons,
                                       const PhaseGoals& goals = {});

}  // namespace cryored
