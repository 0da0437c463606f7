#pragma once
// What the parts of the benchmark's page share.

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/report/page.hpp"
#include "evaluation/benchmark_summary.hpp"

namespace cryored {

/// The 4 x 4 of the paper: proteins in columns, noise in rows. Only data sets of the usual kind and first seed that
/// plain RELION has refined.
struct Panels {
  std::vector<std::string> proteins;
  std::vector<double> amounts;  ///< falling
  std::map<std::pair<double, std::string>, const DataSetRecords*> at;
};
Panels panels_of(const BenchmarkSummary& summary, bool large);

/// Null where there is none.
const CellRecord* record_of(const DataSetRecords* d, const std::string& label);

/// Labels of refinements whose maps are worth showing beside plain's: all but the Gaussian prior and the network of
/// Gaussian noise.
std::vector<std::string> refined_labels(const BenchmarkSummary& summary);

/// Figure 4: the maps of the data set in which plain does worst.
void add_hardest_slices(ReportPage& page, const BenchmarkSummary& summary, const std::string& results);
/// Figure 6: central slices of plain, and of the refinement that most data sets have; per-shell before others.
void add_slices(ReportPage& page, const BenchmarkSummary& summary, const Panels& panels, const std::string& results);

}  // namespace cryored
