#pragma once
// Folders of training pairs side by side: their figures by nominal resolution, with the spread between structures, so
// that made pairs can be judged against RELION's own.

#include <functional>
#include <string>
#include <vector>

#include "training/pair_statistics.hpp"

namespace cryored {

struct PairFolder {
  std::string name, path;
  std::size_t box = 0;
  double voxel = 0;  ///< A
  std::vector<PairFigures> pairs;
};

/// Measures all shards *.pairs below `path`, one pair in memory at a time; the structure is the shard's file name.
/// `voxel` (A, 0: none) serves shards that do not state theirs. `progress` hears of each shard before it is read.
/// Throws InputError when there is none, for shards of several boxes or voxel sizes, and as pair_figures() does.
PairFolder read_pair_folder(const std::string& path, const std::string& name, double voxel,
                            const std::function<void(std::size_t done, std::size_t all)>& progress = {});

/// A figure of PairFigures that is compared.
struct PairFigureKind {
  const char* key;    ///< in JSON
  const char* title;  ///< in tables
  double PairFigures::*value;
  int decimals;
};
const std::vector<PairFigureKind>& pair_figure_kinds();

/// The same for curves.
struct PairCurveKind {
  const char* key;
  const char* title;
  std::vector<double> PairFigures::*values;
};
const std::vector<PairCurveKind>& pair_curve_kinds();

/// Mean over structures of each one's mean over its pairs, and the standard deviation between structures (NaN for
/// fewer than two). Structures that do not give the figure do not count.
struct Spread {
  double mean = 0, spread = 0;
  int structures = 0;
};

/// One folder's pairs of one bin.
struct FolderBin {
  std::size_t pairs = 0;
  int structures = 0;
  std::vector<Spread> figures;              ///< one per pair_figure_kinds()
  std::vector<double> away;                 ///< (mean - reference's mean) / reference's spread; NaN where unknown
  std::vector<std::vector<Spread>> curves;  ///< one per pair_curve_kinds(), shells 0 .. box / 2
};

struct ResolutionBin {
  double worse = 0;                ///< A; infinite in the first bin
  double better = 0;               ///< A, belongs to the bin; 0 in the last one
  std::vector<FolderBin> folders;  ///< the reference first
  std::string title() const;       ///< "15 to 10 A"
};

struct PairComparison {
  std::size_t box = 0;
  double voxel = 0;
  std::vector<std::string> names;     ///< of the folders, the reference first
  std::vector<std::size_t> unstated;  ///< pairs of each without a half-map FSC, which are in no bin
  std::vector<ResolutionBin> bins;
};

/// Folders by nominal resolution, between `edges` (A, falling). A difference can be judged where the reference has
/// three structures or more. With `same_structures` only those of the reference count. Throws UsageError for edges that
/// do not fall, and InputError when boxes or voxel sizes differ.
PairComparison compare_pairs(const std::vector<PairFolder>& folders, const std::vector<double>& edges,
                             bool same_structures);

}  // namespace cryored
