#pragma once
// lambda of eq. (17) for each shell, measured on structures that the network has not seen (docs/red.md,
// "Confidence for each shell"): a function of the shell's frequency, of the nominal resolution and of the
// half-map FSC in the shell, stored with the weights. And the weight of the prior that it was measured with.

#include <array>
#include <cstddef>
#include <vector>

namespace cryored {

/// Values at the nodes of a grid of three quantities, linear between nodes and constant beyond the outermost ones.
/// A quantity with one node has no influence.
struct ConfidenceTable {
  std::vector<double> frequency;  ///< of the shell, 1/A, ascending
  std::vector<double> nominal;    ///< 1 / nominal resolution, 1/A, ascending; 0: no shell reaches the threshold
  std::vector<double> half_fsc;   ///< half-map FSC in the shell, ascending
  std::vector<double> lambda;     ///< 0 .. 1; index (f * nominal.size() + n) * half_fsc.size() + c
  double prior_weight = 1;        ///< of weighed_prior()

  bool operator==(const ConfidenceTable&) const = default;

  std::size_t nodes() const { return frequency.size() * nominal.size() * half_fsc.size(); }
  /// lambda there. The table must be complete.
  double at(double shell_frequency, double nominal_frequency, double shell_fsc) const;
};

/// What tau^-2 is multiplied by in a shell: 1 at lambda 0 (RELION's prior), `prior_weight` (1 or more) at lambda 1.
/// prior_weight 1 is eq. (17) with RELION's tau2, which takes half-maps that agree for right; the larger it is, the
/// less B/K counts beside f(B/K).
inline double weighed_prior(double lambda, double prior_weight) { return 1 + (prior_weight - 1) * lambda; }

/// The nodes around a point and their shares, which sum to 1; a share may be 0. Reads the nodes, not lambda.
struct ConfidenceCorner {
  std::size_t node;
  double share;
};
std::array<ConfidenceCorner, 8> confidence_corners(const ConfidenceTable& table, double shell_frequency,
                                                   double nominal_frequency, double shell_fsc);

/// Tables of one value, for tests and comparisons: 1 is RED, 0 the Gaussian prior.
ConfidenceTable constant_confidence(double lambda);

}  // namespace cryored
