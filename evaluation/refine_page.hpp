#pragma once
// Refinements of one data set side by side: tables as text and the sections of a page.

#include <string>
#include <vector>

#include "core/report/page.hpp"
#include "evaluation/cell.hpp"

namespace cryored {

struct LabelledCell {
  std::string label;  ///< "plain", "CW-RED"
  Cell cell;
  CellResult result;
};

/// Rows: one per cell, and one against the mirrored truth where the start map was mirrored; resolutions in A, angles in
/// degrees, times in minutes.
ReportTable result_table(const std::vector<LabelledCell>& cells);

/// The same table as aligned text for a terminal, lines ending in '\n'.
std::string format_text_table(const ReportTable& table);

/// Central slices of the truth and of each final map, FSC to the truth, half-map FSC, and
/// resolution, angular error and lambda per iteration.
void add_refinement_sections(ReportPage& page, const DataSet& data, const Truth& truth,
                             const std::vector<LabelledCell>& cells);

/// "9.3", or "-" for an infinite or missing value.
std::string format_number(double value, int decimals);
/// Resolution in the mask in A; "-" for no map.
std::string in_mask(const MapScore* map);

}  // namespace cryored
