#pragma once
// What the records of the benchmark say together: differences to plain RELION, their spread over seeds, inflation, and
// the goals. docs/refinements.md states each definition.

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/benchmark_record.hpp"

namespace cryored {

/// judged() of its score; never null for plain. `plain+denoise` is its denoised map, which is what it shows.
const MapScore* judged(const CellRecord& record);

/// Fractional shell at which the FSC of judged() to the truth first falls below 0.5, inside the mask of the truth or
/// without it; NaN where there is no such map.
double truth_shell(const CellRecord& record, bool masked);

/// Shells by which RELION's half-map FSC at 0.143 lies beyond the FSC of judged() to the truth at 0.5, both without
/// mask and before the division by sinc^2 (MapScore), so that no polish of the last pass covers an invention. For a map
/// of two honest halves both are the same (Rosenthal and Henderson 2003): C_ref = sqrt(2 C / (1 + C)) is 0.5 at C =
/// 0.143. Positive: the half-maps promise more than is there.
double inflation(const CellRecord& record);

/// denoised() of its score; of `plain+denoise` plain's map after one pass.
const MapScore* regularised(const CellRecord& record);

/// Mean half-map FSC beyond the resolution from which the particles' phases are random: what the refinement invents. No
/// value for other data sets.
std::optional<double> invented(const CellRecord& record);

enum class Verdict { better, same, worse };
std::string describe(Verdict verdict);

/// `difference` (positive is good) against twice the spread. No value without a spread.
std::optional<Verdict> verdict(double difference, std::optional<double> spread);

/// Label of a record's way of refining: its mode, and the digest where the records hold several weights for it at the
/// same pixel size (which decides the network by itself).
std::map<const CellRecord*, std::string> labels(const std::vector<CellRecord>& records);

/// A data set of the benchmark with its records by label.
struct DataSetRecords {
  std::string name;    ///< folder
  std::string family;  ///< the same without the seed
  std::string title;   ///< "4LW4, SNR 0.1, seed 2"
  bool usual = true;   ///< no CTF, white noise, the usual pixel size, phases of its own
  const CellRecord* plain = nullptr;
  std::map<std::string, const CellRecord*> by_label;
  const CellRecord& any() const { return *by_label.begin()->second; }
};

/// Spread of a refinement over seeds: the standard deviation over the data sets that differ in nothing but the seed,
/// pooled (root of the mean variance, weighted with the degrees of freedom) over these families and over the
/// refinements.
struct Spreads {
  std::optional<double> shells;     ///< of truth_shell(masked)
  std::optional<double> log_angle;  ///< of ln(median angular error)
  int families = 0;                 ///< that have two seeds or more
};

/// How a mode did against plain over all data sets that count: plain is neither within one shell of Nyquist (in the
/// mask) nor worse than `hopeless` A (without it), the particles' phases are their own, and the mode differs from
/// plain.
struct ModeSummary {
  std::string label;
  int data_sets = 0;  ///< with both and a map to be judged, counting or not
  int counting = 0;
  int better = 0, same = 0, worse = 0;  ///< resolution in the mask; without a spread all 0
  double mean_gain = 0;                 ///< of resolution in the mask: mean of plain's A over the mode's, minus 1
  double least_gain = std::numeric_limits<double>::infinity();
  double regularised_gain = 0;  ///< the same of regularised(), over `regularised` data sets
  int regularised = 0;          ///< counting ones with such a map
  int angles_compared = 0;      ///< counting ones in which both have angles
  int angles_worse = 0;         ///< of those, of larger median angular error, beyond the spread where there is one
  /// Shells, means over all data sets of this refinement and of plain; NaN where the mode does not refine.
  double mean_inflation = std::numeric_limits<double>::quiet_NaN(), plain_inflation = mean_inflation;
  double most_inflation_beyond_plain = -std::numeric_limits<double>::infinity();  ///< shells, all data sets
  std::string where;                                                              ///< the data set of that
};

struct BenchmarkSummary {
  std::vector<DataSetRecords> data_sets;  ///< ordered by size and kind, structure, falling SNR, seed
  std::vector<std::string> columns;       ///< labels, ceiling and plain first
  Spreads spreads;
  std::vector<ModeSummary> modes;
  double hopeless = 20;
  bool counts(const DataSetRecords& d) const;
};
/// Of the resolution in the mask against plain's of the data set; none for plain itself and where plain was not run.
std::optional<Verdict> resolution_verdict(const BenchmarkSummary& summary, const DataSetRecords& data_set,
                                          const CellRecord& record);
/// Keeps pointers into `records`. Structures stand in the order of `structures`, others behind by name.
BenchmarkSummary summarise(const std::vector<CellRecord>& records, double hopeless,
                           const std::vector<std::string>& structures = {});

}  // namespace cryored
