#include "training/pair_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/filter.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/confidence.hpp"
#include "simulation/truth_mask.hpp"

namespace cryored {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kJoined = 40;             // A; RELION's --low_resol_join_halves, as people use it
constexpr double kCoarse = 30;             // A
constexpr double kMargin = 5;              // A around the structure, and between it and the solvent
constexpr double kFaces = 5;               // voxels
constexpr std::size_t kLeastVoxels = 200;  // of a region
constexpr std::size_t kFarthest = 16;      // lags in voxels

/// Multiplies each coefficient by the factor of its shell, 0 beyond the last.
HalfTransform by_shell(HalfTransform t, const std::vector<double>& factor) {
  filter(t, [&](double k) {
    const auto shell = static_cast<std::size_t>(std::lround(k));
    return shell < factor.size() ? factor[shell] : 0;
  });
  return t;
}

/// Mean of the finite values of shells first <= s <= last; NaN without any.
double mean_between(const std::vector<double>& curve, double first, double last) {
  double sum = 0;
  int count = 0;
  for (std::size_t s = 0; s < curve.size(); ++s)
    if (static_cast<double>(s) >= first && static_cast<double>(s) <= last && std::isfinite(curve[s]))
      sum += curve[s], ++count;
  return count ? sum / count : kNone;
}

struct Regions {
  std::vector<char> inside, solvent, beyond;
};

Regions regions_of(const Map& target, double voxel) {
  const std::size_t n = target.nx;
  // 1 on the structure; under one half from 5 A on.
  const Map mask = truth_mask(target, voxel, 0, 2 * kMargin);
  const auto radius = [n](std::size_t i) {
    const auto off = [n](std::size_t k) { return static_cast<double>(k) - static_cast<double>(n / 2); };
    return std::hypot(off(i % n), off(i / n % n), off(i / (n * n)));
  };
  double farthest = 0;
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask.data[i] >= 1) farthest = std::max(farthest, radius(i));
  const double sphere = std::min(farthest + kMargin / voxel, static_cast<double>(n) / 2 - kFaces);
  Regions r{std::vector<char>(mask.size()), std::vector<char>(mask.size()), std::vector<char>(mask.size())};
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const bool within = radius(i) <= sphere, away = mask.data[i] < 0.5f;
    r.inside[i] = mask.data[i] >= 1;
    r.solvent[i] = within && away;
    r.beyond[i] = !within && away;
  }
  return r;
}

/// Moment of order `power` about 0; NaN for a region too small.
double moment(const Map& map, const std::vector<char>& region, int power) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < map.size(); ++i)
    if (region[i]) {
      double product = 1;
      for (int k = 0; k < power; ++k) product *= static_cast<double>(map.data[i]);
      sum += product;
      ++count;
    }
  return count < kLeastVoxels ? kNone : sum / static_cast<double>(count);
}

/// Autocorrelation along the axes at `lag` voxels, both voxels in the region, over the square of the RMS there.
double autocorrelation(const Map& map, const std::vector<char>& region, std::size_t lag, double square) {
  const std::size_t n = map.nx;
  double sum = 0;
  std::size_t count = 0;
  for (const std::size_t stride : {std::size_t{1}, n, n * n})
    for (std::size_t i = 0; i < map.size(); ++i) {
      if (i / stride % n + lag >= n) continue;
      const std::size_t j = i + lag * stride;
      if (region[i] && region[j]) sum += static_cast<double>(map.data[i]) * static_cast<double>(map.data[j]), ++count;
    }
  return count < kLeastVoxels ? kNone : sum / static_cast<double>(count) / square;
}

double half_width(const Map& map, const std::vector<char>& region, double square) {
  double before = 1;
  for (std::size_t lag = 1; lag <= std::min(kFarthest, map.nx / 2); ++lag) {
    const double here = autocorrelation(map, region, lag, square);
    if (!std::isfinite(here)) return kNone;
    if (here < 0.5) return static_cast<double>(lag - 1) + (before - 0.5) / (before - here);
    before = here;
  }
  return kNone;
}

void check(const TrainingPair& pair, double voxel, const std::string& where) {
  const std::size_t n = pair.input.nx;
  if (!(voxel > 0))
    throw InputError(Problem{where, "voxel size", "not stated in this older shard", "one in A",
                             "give --voxel, 2.5 unless cryored pairs was told otherwise, or make the pairs anew"});
  if (pair.cut < 3 || static_cast<std::size_t>(pair.cut) > n / 2 + 1)
    throw InputError(Problem{where, "cut", std::to_string(pair.cut), "3 to " + std::to_string(n / 2 + 1) + " shells",
                             "make the shard anew"});
  for (const Map* map : {&pair.input, &pair.target})
    if (!std::all_of(map->data.begin(), map->data.end(), [](float v) { return std::isfinite(v); }))
      throw InputError(Problem{where, map == &pair.input ? "input" : "target", "values that are not finite", "numbers",
                               "make the shard anew"});
}

}  // namespace

PairFigures pair_figures(const TrainingPair& pair, double voxel, const std::string& structure_id,
                         const std::string& where) {
  check(pair, voxel, where);
  const std::size_t n = pair.input.nx;
  const auto shells = static_cast<std::size_t>(pair.cut);
  const double box = static_cast<double>(n) * voxel;
  PairFigures f;
  f.structure_id = structure_id;
  f.cut = pair.cut;

  const HalfTransform input = forward(pair.input), target = forward(pair.target);
  const std::vector<double> curve = fsc(input, target), in = shell_power(input), truth = shell_power(target);
  // Shells that float16 alone fills hold nothing.
  const double least = 1e-9 * *std::max_element(truth.begin(), truth.end());
  if (!(least > 0))
    throw InputError(Problem{where, "target", "zero everywhere", "a density map", "make the shard anew"});
  double cross = 0, power = 0;
  for (std::size_t s = 0; s < shells; ++s) {
    const bool filled = truth[s] > least && in[s] > 0;
    f.fsc.push_back(filled ? curve[s] : kNone);
    f.power.push_back(filled ? std::log10(in[s] / truth[s]) : kNone);
    f.amplitude.push_back(filled ? curve[s] * std::sqrt(in[s] / truth[s]) : kNone);
    const double c = s < pair.half_fsc.size() ? std::clamp<double>(static_cast<double>(pair.half_fsc[s]), 0, 1) : 0;
    f.promised.push_back(std::sqrt(c));
    if (filled && s > 0 && static_cast<double>(s) <= box / kCoarse) {
      const double coefficients = static_cast<double>(s * s);
      cross += coefficients * f.amplitude[s] * truth[s];
      power += coefficients * truth[s];
    }
  }
  f.coarse_factor = power > 0 ? cross / power : kNone;

  const std::vector<double> half(pair.half_fsc.begin(), pair.half_fsc.end());
  const ResolutionFigures figures = resolution_figures(half, pair.cut - 1, static_cast<int>(n), voxel);
  f.nominal = figures.nominal.value_or(kNone);
  f.limited = figures.limited_by_cut ? 1 : 0;
  const double shell = figures.nominal_shell.value_or(kNone), first = std::floor(box / kJoined) + 1;
  f.margin = static_cast<double>(pair.cut) - shell;
  f.power_below = mean_between(f.power, first, shell);
  f.fsc_below = mean_between(f.fsc, first, shell);
  f.promise_below = mean_between(f.promised, first, shell);
  f.overstated = f.promise_below - f.fsc_below;
  const double after = std::max(first, std::floor(shell) + 1);
  f.power_beyond = mean_between(f.power, after, static_cast<double>(n));
  f.fsc_beyond = mean_between(f.fsc, after, static_cast<double>(n));

  std::vector<double> factor = f.amplitude;
  for (double& a : factor)
    if (!std::isfinite(a)) a = 0;
  const Map scaled = inverse(by_shell(target, factor), n);
  Map error = inverse(by_shell(input, std::vector<double>(shells, 1.0)), n);
  subtract(error, scaled);
  const Regions regions = regions_of(pair.target, voxel);
  const double unit = std::sqrt(moment(scaled, regions.inside, 2)), solvent2 = moment(error, regions.solvent, 2);
  f.rms_inside = std::sqrt(moment(error, regions.inside, 2)) / unit;
  f.rms_solvent = std::sqrt(solvent2) / unit;
  f.rms_beyond = std::sqrt(moment(error, regions.beyond, 2)) / unit;
  f.solvent_ratio = f.rms_solvent / f.rms_inside;
  f.beyond_ratio = f.rms_beyond / f.rms_inside;
  const double mean = moment(error, regions.solvent, 1);
  const double m2 = solvent2 - mean * mean, m4 = moment(error, regions.solvent, 4) -
                                                 4 * mean * moment(error, regions.solvent, 3) +
                                                 6 * mean * mean * solvent2 - 3 * std::pow(mean, 4);
  f.kurtosis = m4 / (m2 * m2) - 3;
  f.correlation = half_width(error, regions.solvent, solvent2) * voxel;
  return f;
}

}  // namespace cryored
