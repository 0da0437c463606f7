#pragma once
// How far the denoiser is trusted: resolution from the half-map FSC, and the weight lambda
// of eq. (17) from the resolution (Kimanius et al., IUCrJ 2021, section 4.3).

#include <optional>
#include <string>
#include <vector>

#include "core/reconstruct/request.hpp"

namespace cryored {

/// Resolutions in A read off one FSC curve. A figure that the curve does not give is absent.
struct ResolutionFigures {
  double threshold = 0.143;
  /// Shell (fractional) and resolution of the first downward crossing of `threshold`: the
  /// nominal resolution. Absent when the curve is zero everywhere beyond shell 0 (Class3D:
  /// RELION has no half-map FSC). Infinite when no shell beyond 0 reaches the threshold.
  std::optional<double> nominal_shell, nominal;
  /// The curve stays above the threshold up to the cut (current size / 2), so that the true
  /// resolution may be better: `nominal` is then the cut's.
  bool limited_by_cut = false;
  std::optional<double> half;              ///< first downward crossing of 0.5
  std::optional<double> last_above;        ///< the last shell that reaches `threshold`, beyond dips or not
  std::optional<int> first_below_seventh;  ///< first shell > 0 with FSC < 1/7 (Blush's figure)
};

/// `fsc` has shells 0 .. N/2; shells beyond `cut_shell` (RELION writes zeros there) do not count.
ResolutionFigures resolution_figures(const std::vector<double>& fsc, int cut_shell, int box, double pixel_size,
                                     double threshold = 0.143);

/// lambda at a nominal resolution (A): 0 at `low` and worse, 1 at `high` and better, linear in A
/// between. Throws UsageError unless 0 < high < low.
double confidence_ramp(double resolution, double low = 10, double high = 4.5);

/// lambda and where it comes from.
struct Confidence {
  double lambda = 0;   ///< with by_shell the mean over the shells that the denoiser may touch
  std::string source;  ///< for the record, e.g. "half-map FSC 0.143 at 7.31 A, range 10 to 4.5 A"
  bool by_shell = false;
  double prior_weight = 1;  ///< of weighed_prior(); 1 without a table
  /// One weight per shell 0 .. N/2: `lambda`, or with by_shell a value for each, in every shell that the denoiser may
  /// touch (see usable_shells), and 0 elsewhere.
  std::vector<double> per_shell;
};

/// Which shells the denoiser may add to: 1 where tau2 > 0, s <= the cut and the shell lies below
/// the denoiser's Nyquist frequency (denoiser_voxel 0: no such limit), else 0. Size N/2 + 1.
std::vector<double> usable_shells(const ReconstructRequest& request, double pixel_size, double denoiser_voxel);

/// r_max = min(current size, N) / 2, the last shell that RELION reconstructs.
int cut_shell(const ReconstructRequest& request);

}  // namespace cryored
