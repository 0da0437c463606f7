#include "core/reconstruct/confidence.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {

ResolutionFigures resolution_figures(const std::vector<double>& fsc, int cut_shell, int box, double pixel_size,
                                     double threshold) {
  if (!(threshold > 0 && threshold < 1))
    throw UsageError(Problem{"--fsc-threshold", "", std::to_string(threshold), "a number between 0 and 1",
                             "0.143 is the usual one for half-maps"});
  ResolutionFigures figures;
  figures.threshold = threshold;
  const std::size_t count = std::min(fsc.size(), static_cast<std::size_t>(std::max(cut_shell, 0)) + 1);
  const std::vector<double> curve(fsc.begin(), fsc.begin() + static_cast<std::ptrdiff_t>(count));
  if (curve.size() < 2 || std::all_of(curve.begin() + 1, curve.end(), [](double v) { return v == 0; })) return figures;

  const auto resolution = [&](double shell) {
    return shell_resolution(shell, static_cast<std::size_t>(box), pixel_size);
  };
  const auto falls_below = [&](double level) {
    return std::any_of(curve.begin() + 1, curve.end(), [level](double v) { return v < level; });
  };
  figures.limited_by_cut = !falls_below(threshold);
  figures.nominal_shell = crossing_shell(curve, threshold);
  figures.nominal = resolution(*figures.nominal_shell);
  figures.half = resolution(crossing_shell(curve, 0.5));
  for (std::size_t s = 1; s < curve.size(); ++s) {
    if (curve[s] >= threshold) figures.last_above = resolution(static_cast<double>(s));
    if (!figures.first_below_seventh && curve[s] < 1.0 / 7) figures.first_below_seventh = static_cast<int>(s);
  }
  return figures;
}

double confidence_ramp(double resolution, double low, double high) {
  if (!(high > 0 && high < low))
    throw UsageError(Problem{"--confidence-range", "", std::to_string(low) + " to " + std::to_string(high) + " A",
                             "two resolutions in A, the worse one first, e.g. 10:4.5",
                             "swap or change the two values"});
  return std::clamp((low - resolution) / (low - high), 0.0, 1.0);
}

int cut_shell(const ReconstructRequest& request) { return std::min(request.current_size, request.box) / 2; }

std::vector<double> usable_shells(const ReconstructRequest& request, double pixel_size, double denoiser_voxel) {
  std::vector<double> usable(static_cast<std::size_t>(request.box / 2 + 1), 0.0);
  // Shell s lies at s / (N a); the Nyquist frequency of the denoiser's map is 1 / (2 v). The
  // shell that touches it is left out whole: half of its coefficients are beyond.
  const double limit = denoiser_voxel > 0 ? request.box * pixel_size / (2 * denoiser_voxel) - 0.5 : request.box;
  for (std::size_t s = 0; s < usable.size() && s < request.tau2.size(); ++s)
    if (request.tau2[s] > 0 && static_cast<int>(s) <= cut_shell(request) && static_cast<double>(s) < limit)
      usable[s] = 1;
  return usable;
}

}  // namespace cryored
