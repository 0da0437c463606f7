#pragma once
// How far the denoiser is right, shell by shell, on structures that it has not seen: what the table of
// --confidence per-shell is made from, for a given weight of the prior. docs/red.md derives it.

#include <string>
#include <vector>

#include "core/reconstruct/confidence_table.hpp"
#include "training/pairs.hpp"

namespace cryored {

/// One shell of one pair: y = B/K, f what the denoiser makes of it, t the truth. Sums over the shell's
/// coefficients, of power or of Re <a, b>, divided by that of t.
struct ShellSample {
  std::string structure;
  std::size_t source = 0;  ///< which of several collections of pairs it comes from, 0, 1, ..
  double weight = 1;       ///< in fits and means
  double frequency = 0;    ///< 1/A
  double nominal = 0;      ///< 1 / nominal resolution, 1/A, at most the last filled shell; 0: no half-map agreement
  double half_fsc = 0;
  double yy = 0, ff = 0, yf = 0, yt = 0, ft = 0;

  /// The prior's share of a coefficient, w tau^-2 / (K + w tau^-2) with w = weighed_prior(lambda, prior_weight) and
  /// RELION's tau2 = FSC / ((1 - FSC) K), FSC within 0.001 .. 0.999.
  double prior_share(double lambda, double prior_weight = 1) const;
  /// |x - t|^2 / |t|^2 of x = (B + lambda f w tau^-2) / (K + w tau^-2), in the shell.
  double error(double lambda, double prior_weight = 1) const;
  /// Correlation of x with the truth.
  double correlation(double lambda, double prior_weight = 1) const;
};

/// Shells 1 .. cut - 1 of a pair; those without any truth are left out, and all of them where the nominal resolution is
/// unknown. `voxel` in A.
std::vector<ShellSample> shell_samples(const std::string& structure, const TrainingPair& pair, const Map& denoised,
                                       double voxel);

/// Which quantities a table depends on; the others get one node. The default is what is right about the denoiser in
/// refinements that it takes part in (docs/red.md).
struct ConfidenceAxes {
  bool frequency = false, nominal = true, half_fsc = true;
};

/// The table that minimises the mean over samples of error(lambda), 0 <= lambda <= 1, weighed by `weight` / max(1, q^2
/// ff), with a pull of neighbouring nodes towards each other (`smoothness`, as many samples' worth), so that nodes
/// without data follow those that have some. A convex quadratic problem, solved by projected coordinate descent; with a
/// prior_weight other than 1, in which q depends on lambda, the fixed point of that with q held. Throws UsageError
/// without samples.
ConfidenceTable fit_confidence(const std::vector<const ShellSample*>& samples, double voxel, ConfidenceAxes axes = {},
                               double smoothness = 1, double prior_weight = 1);

/// Weights so that all sources count alike, with mean 1.
void balance_sources(std::vector<ShellSample>& samples);

/// Means over samples for one way to choose lambda: of all, and of each source.
struct ConfidenceScore {
  struct Mean {
    double error = 0;  ///< |x - t|^2 / |t|^2, at most 10 a sample: a few shells of almost no truth would decide
    double correlation = 0, lambda = 0;
  };
  std::string name;
  Mean all;
  std::vector<Mean> by_source;
};

/// lambda 0, lambda 1 and the paper's ramp, all with RELION's tau2; tables over several choices of quantities with the
/// prior's weight; and the usual table with several such weights. Each sample is judged by a
/// table made without its own structure: the structures are dealt out to five groups, fewer where there are fewer. With
/// one structure alone there are no tables.
std::vector<ConfidenceScore> compare_confidence(const std::vector<ShellSample>& samples, double voxel,
                                                double smoothness = 1, double prior_weight = 1);

}  // namespace cryored
