#pragma once
// A comparison of pairs as tables, page and JSON.

#include <string>
#include <vector>

#include "core/report/page.hpp"
#include "training/pair_comparison.hpp"

namespace cryored {

/// Rows: figures; columns: folders. Cells "mean (spread)"; of the folders beside the reference one '*' per spread of
/// the reference that the mean is away from the reference's, two at most. Nothing of a folder without pairs in the bin.
ReportTable pair_table(const PairComparison& comparison, const ResolutionBin& bin);

/// One plot per bin that has pairs: a curve per folder, of shells that half of its structures have at least, with the
/// reference's spread about its own in dots, and the FSC that the half-maps promise dotted beside the FSC to truth.
/// `which` as in pair_curve_kinds(): 0 power, 1 FSC, 3 factor of the truth.
std::vector<std::string> pair_plots(const PairComparison& comparison, std::size_t which);

/// Tables and plots as one page. `command`: what made it.
std::string pair_page(const PairComparison& comparison, const std::string& command);

/// Everything that is in the comparison, figures that are missing as null.
std::string pair_json(const PairComparison& comparison);

}  // namespace cryored
