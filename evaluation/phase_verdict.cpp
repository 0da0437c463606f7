#include "evaluation/phase_verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "core/base/error.hpp"

namespace cryored {
namespace {

double ratio_of(double a, double b) {
  if (b > 0) return a / b;
  return a > b ? std::numeric_limits<double>::infinity() : 1;
}

std::string angstroms(double a) { return std::isfinite(a) ? fmt::format("{:.1f} A", a) : std::string("nowhere"); }

}  // namespace

PhaseComparison compare_phases(const PhaseScore& candidate, const PhaseScore& baseline, int exposures, bool mean,
                               const PhaseGoals& goals) {
  const auto &mine = mean ? candidate.mean_area : candidate.single_area,
             &its = mean ? baseline.mean_area : baseline.single_area;
  const auto per_view = static_cast<std::size_t>(mean ? 1 : exposures);
  if (mine.size() != its.size() || mine.empty() || per_view == 0 || mine.size() % per_view)
    throw UsageError(Problem{"comparison of phases", "particles",
                             std::to_string(mine.size()) + " and " + std::to_string(its.size()),
                             "as many of both, whole views", "score both on the same particles"});
  PhaseComparison c;
  c.mean = mean;
  c.area = median(mine);
  c.other_area = median(its);
  c.ratio = ratio_of(c.area, c.other_area);
  c.resolution = median(mean ? candidate.mean_resolution : candidate.single_resolution);
  c.other_resolution = median(mean ? baseline.mean_resolution : baseline.single_resolution);
  for (std::size_t i = 0; i < mine.size(); ++i) c.share_better += mine[i] > its[i];
  c.share_better /= static_cast<double>(mine.size());
  c.outline_ratio = ratio_of(median(mean ? candidate.mean_outline : candidate.single_outline),
                             median(mean ? baseline.mean_outline : baseline.single_outline));
  c.area_met = c.ratio >= goals.area_ratio;
  c.resolution_met = c.resolution <= c.other_resolution;

  // Exposures of a view are alike: views are what is drawn anew.
  const std::size_t views = mine.size() / per_view;
  std::mt19937_64 random(1);
  std::vector<double> ratios;
  for (int draw = 0; draw < 400; ++draw) {
    std::vector<double> a, b;
    for (std::size_t v = 0; v < views; ++v) {
      const std::size_t from = random() % views * per_view;
      a.insert(a.end(), mine.begin() + static_cast<std::ptrdiff_t>(from),
               mine.begin() + static_cast<std::ptrdiff_t>(from + per_view));
      b.insert(b.end(), its.begin() + static_cast<std::ptrdiff_t>(from),
               its.begin() + static_cast<std::ptrdiff_t>(from + per_view));
    }
    ratios.push_back(ratio_of(median(std::move(a)), median(std::move(b))));
  }
  std::sort(ratios.begin(), ratios.end());
  c.low = ratios[ratios.size() / 40];
  c.high = ratios[ratios.size() - 1 - ratios.size() / 40];
  return c;
}

std::vector<std::string> verdict_lines(const std::string& candidate, const std::vector<PhaseComparison>& comparisons,
                                       const PhaseGoals& goals) {
  if (comparisons.empty()) return {candidate + ": nothing to compare"};
  std::vector<std::string> lines, misses;
  for (const bool mean : {false, true}) {
    std::size_t all = 0, area = 0, resolution = 0;
    for (const PhaseComparison& c : comparisons) {
      if (c.mean != mean) continue;
      ++all;
      area += c.area_met;
      resolution += c.resolution_met;
      if (c.met()) continue;
      std::string line = fmt::format("missed: {}, {:g} e/A^2, {}, against {}:", c.structure, c.dose,
                                     mean ? "mean of exposures" : "single image", c.baseline);
      if (!c.area_met) line += fmt::format(" area {:.3f} to {:.3f}, ratio {:.3f}", c.area, c.other_area, c.ratio);
      if (!c.resolution_met)
        line += fmt::format("{} FRC 0.5 at {}, not {}", c.area_met ? "" : ";", angstroms(c.resolution),
                            angstroms(c.other_resolution));
      misses.push_back(std::move(line));
    }
    if (all == 0) continue;
    lines.push_back(
        fmt::format("{}, {}: area {:g} times the other's or more in {} of {} comparisons, FRC 0.5 not "
                    "worse in {} of {}{}",
                    candidate, mean ? "mean of exposures" : "single images", goals.area_ratio, area, all, resolution,
                    all, area == all && resolution == all ? ": met" : ": NOT MET"));
  }
  lines.insert(lines.end(), misses.begin(), misses.end());
  return lines;
}

}  // namespace cryored
