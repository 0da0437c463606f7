#include "training/guard_calibration.hpp"

#include <algorithm>

#include "core/fourier/shells.hpp"
#include "core/reconstruct/guard.hpp"

namespace cryored {

std::vector<GuardSample> guard_samples(const TrainingPair& pair, const Map& denoised, double level,
                                       const std::function<Map(const Map&)>& denoiser) {
  GuardOptions options;
  options.mode = GuardOptions::Mode::report;
  options.fsc_level = level;
  const std::vector<double> half_fsc(pair.half_fsc.begin(), pair.half_fsc.end());
  const GuardReport report = created_agreement(pair.input, denoised, half_fsc, pair.cut - 1, denoiser, options);
  std::vector<GuardSample> samples;
  if (!report.ran) return samples;
  const auto right = fsc(denoised, pair.target);
  for (int s = report.first_shell; s < pair.cut; ++s)
    samples.push_back({report.created[static_cast<std::size_t>(s)], right[static_cast<std::size_t>(s)]});
  return samples;
}

GuardScore guard_score(double level, const std::vector<GuardSample>& samples) {
  GuardScore score;
  score.level = level;
  score.shells = samples.size();
  std::vector<double> right, wrong;
  for (const auto& s : samples) (s.correlation < 0.5 ? wrong : right).push_back(s.created);
  score.wrong = wrong.size();
  std::sort(right.begin(), right.end());
  for (const double v : right) score.created_right += v / static_cast<double>(right.size());
  for (const double v : wrong) score.created_wrong += v / static_cast<double>(wrong.size());
  if (right.empty()) return score;
  score.bound = right[std::min(right.size() - 1, right.size() * 95 / 100)];
  if (wrong.empty()) return score;
  double above = 0, caught = 0;
  for (const double v : wrong) {
    const auto below = std::lower_bound(right.begin(), right.end(), v), same = std::upper_bound(below, right.end(), v);
    above += static_cast<double>(below - right.begin()) + 0.5 * static_cast<double>(same - below);
    if (v > score.bound) ++caught;
  }
  score.separation = above / static_cast<double>(right.size() * wrong.size());
  score.caught = caught / static_cast<double>(wrong.size());
  return score;
}

}  // namespace cryored
