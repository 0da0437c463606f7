#include "training/pair_comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace fs = std::filesystem;
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int kLeastStructures = 3;

using ByStructure = std::map<std::string, std::vector<const PairFigures*>>;

/// `value` gives NaN for a pair without the figure.
template <typename Value>
Spread spread_of(const ByStructure& groups, Value value) {
  std::vector<double> means;
  for (const auto& [id, pairs] : groups) {
    double sum = 0;
    int count = 0;
    for (const PairFigures* pair : pairs)
      if (const double v = value(*pair); std::isfinite(v)) sum += v, ++count;
    if (count) means.push_back(sum / count);
  }
  Spread out{kNone, kNone, static_cast<int>(means.size())};
  if (means.empty()) return out;
  const auto count = static_cast<double>(means.size());
  out.mean = 0;
  for (const double m : means) out.mean += m / count;
  if (means.size() < 2) return out;
  double square = 0;
  for (const double m : means) square += (m - out.mean) * (m - out.mean);
  out.spread = std::sqrt(square / (count - 1));
  return out;
}

FolderBin summarise(const std::vector<const PairFigures*>& pairs, std::size_t shells) {
  FolderBin bin;
  bin.pairs = pairs.size();
  ByStructure groups;
  for (const PairFigures* pair : pairs) groups[pair->structure_id].push_back(pair);
  bin.structures = static_cast<int>(groups.size());
  for (const PairFigureKind& kind : pair_figure_kinds())
    bin.figures.push_back(spread_of(groups, [&kind](const PairFigures& p) { return p.*kind.value; }));
  for (const PairCurveKind& kind : pair_curve_kinds()) {
    std::vector<Spread> curve;
    for (std::size_t s = 0; s < shells; ++s)
      curve.push_back(spread_of(groups, [&kind, s](const PairFigures& p) {
        const std::vector<double>& values = p.*kind.values;
        return s < values.size() ? values[s] : kNone;
      }));
    bin.curves.push_back(std::move(curve));
  }
  return bin;
}

void compare(FolderBin& bin, const FolderBin& reference) {
  for (std::size_t k = 0; k < bin.figures.size(); ++k) {
    const Spread& r = reference.figures[k];
    const bool judged = r.structures >= kLeastStructures && r.spread > 0;
    bin.away.push_back(judged ? (bin.figures[k].mean - r.mean) / r.spread : kNone);
  }
}

}  // namespace

PairFolder read_pair_folder(const std::string& path, const std::string& name, double voxel,
                            const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<std::string> files;
  if (fs::is_directory(path))
    for (const auto& entry : fs::recursive_directory_iterator(path, fs::directory_options::follow_directory_symlink))
      if (entry.path().extension() == ".pairs") files.push_back(entry.path().string());
  if (files.empty())
    throw InputError(
        Problem{path, "training pairs", "none", "a folder with shards *.pairs", "make them with cryored pairs"});
  std::sort(files.begin(), files.end());
  PairFolder folder{name, path, 0, 0, {}};
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (progress) progress(i, files.size());
    const PairShard shard(files[i]);
    const double found = shard.voxel() > 0 ? shard.voxel() : voxel;
    if (i == 0) {
      folder.box = shard.box();
      folder.voxel = found;
    }
    if (shard.box() != folder.box || std::abs(found - folder.voxel) > 1e-3 * folder.voxel)
      throw InputError(Problem{files[i], "box and voxel size", fmt::format("{}, {:g} A", shard.box(), found),
                               fmt::format("{}, {:g} A, as in {}", folder.box, folder.voxel, files[0]),
                               "compare pairs of one box and voxel size at a time"});
    for (std::size_t k = 0; k < shard.size(); ++k)
      folder.pairs.push_back(
          pair_figures(shard.read(k), found, structure_id(files[i]), fmt::format("{}, pair {}", files[i], k + 1)));
  }
  return folder;
}

const std::vector<PairFigureKind>& pair_figure_kinds() {
  static const std::vector<PairFigureKind> kinds = {
      {"nominal_resolution", "half-map FSC 0.143 (A)", &PairFigures::nominal, 1},
      {"limited_by_cut", "of them at the cut (share)", &PairFigures::limited, 2},
      {"margin", "shells from there to the cut", &PairFigures::margin, 1},
      {"fsc_below", "FSC to truth, 40 A to nominal", &PairFigures::fsc_below, 3},
      {"promised_below", "promised by the half-maps", &PairFigures::promise_below, 3},
      {"overstated", "promised less true", &PairFigures::overstated, 3},
      {"fsc_beyond", "FSC to truth, beyond nominal", &PairFigures::fsc_beyond, 3},
      {"power_below", "log10 power, 40 A to nominal", &PairFigures::power_below, 2},
      {"power_beyond", "log10 power, beyond nominal", &PairFigures::power_beyond, 2},
      {"coarse_factor", "factor of the truth to 30 A", &PairFigures::coarse_factor, 2},
      {"rms_inside", "error inside", &PairFigures::rms_inside, 3},
      {"rms_solvent", "error in the solvent", &PairFigures::rms_solvent, 3},
      {"rms_beyond", "error beyond the sphere", &PairFigures::rms_beyond, 3},
      {"solvent_ratio", "solvent / inside", &PairFigures::solvent_ratio, 2},
      {"beyond_ratio", "beyond / inside", &PairFigures::beyond_ratio, 2},
      {"kurtosis", "excess kurtosis, solvent", &PairFigures::kurtosis, 2},
      {"correlation_length", "correlation length, solvent (A)", &PairFigures::correlation, 2},
  };
  return kinds;
}

const std::vector<PairCurveKind>& pair_curve_kinds() {
  static const std::vector<PairCurveKind> kinds = {
      {"log10_power", "log10 of the input's power over the truth's", &PairFigures::power},
      {"fsc_to_truth", "FSC to the truth", &PairFigures::fsc},
      {"promised_fsc", "FSC that the half-maps promise", &PairFigures::promised},
      {"amplitude", "Factor of the truth in the input", &PairFigures::amplitude},
  };
  return kinds;
}

std::string ResolutionBin::title() const {
  if (std::isinf(worse)) return better > 0 ? fmt::format("worse than {:g} A", better) : "all resolutions";
  return better > 0 ? fmt::format("{:g} to {:g} A", worse, better) : fmt::format("better than {:g} A", worse);
}

PairComparison compare_pairs(const std::vector<PairFolder>& folders, const std::vector<double>& edges,
                             bool same_structures) {
  for (std::size_t e = 0; e < edges.size(); ++e)
    if (!(edges[e] > 0) || (e > 0 && edges[e] >= edges[e - 1]))
      throw UsageError(
          Problem{"--bins", "", fmt::format("{:g} A", edges[e]), "resolutions in A, falling", "for example 15,10,7"});
  PairComparison result;
  if (folders.empty()) throw UsageError(Problem{"pairs", "folders", "none", "one or more", ""});
  result.box = folders[0].box;
  result.voxel = folders[0].voxel;
  std::set<std::string> known;
  for (const PairFigures& pair : folders[0].pairs) known.insert(pair.structure_id);
  double worse = std::numeric_limits<double>::infinity();
  for (std::size_t e = 0; e <= edges.size(); ++e) {
    result.bins.push_back({worse, e < edges.size() ? edges[e] : 0, {}});
    worse = result.bins.back().better;
  }
  for (const PairFolder& folder : folders) {
    if (folder.box != result.box || std::abs(folder.voxel - result.voxel) > 1e-3 * result.voxel)
      throw InputError(Problem{folder.path, "box and voxel size", fmt::format("{}, {:g} A", folder.box, folder.voxel),
                               fmt::format("{}, {:g} A, as in {}", result.box, result.voxel, folders[0].path),
                               "compare pairs of one box and voxel size at a time"});
    result.names.push_back(folder.name);
    std::vector<std::vector<const PairFigures*>> in_bin(result.bins.size());
    std::size_t unstated = 0;
    for (const PairFigures& pair : folder.pairs) {
      if (same_structures && !known.contains(pair.structure_id)) continue;
      if (std::isnan(pair.nominal)) {
        ++unstated;
        continue;
      }
      std::size_t b = 0;
      while (pair.nominal < result.bins[b].better) ++b;
      in_bin[b].push_back(&pair);
    }
    result.unstated.push_back(unstated);
    for (std::size_t b = 0; b < in_bin.size(); ++b) {
      ResolutionBin& bin = result.bins[b];
      bin.folders.push_back(summarise(in_bin[b], result.box / 2 + 1));
      compare(bin.folders.back(), bin.folders.front());
    }
  }
  return result;
}

}  // namespace cryored
