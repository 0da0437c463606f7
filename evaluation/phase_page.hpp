#pragma once
// Methods of phase retrieval side by side: tables as text and on a page, pictures, curves.

#include <string>
#include <vector>

#include "core/report/page.hpp"
#include "evaluation/phase_verdict.hpp"

namespace cryored {

/// All methods on one structure at one dose.
struct PhaseCell {
  std::string structure;
  double dose = 0;                 ///< electrons / A^2
  Map truth;                       ///< of the first view
  std::vector<PhaseScore> scores;  ///< in the order of the methods
};

struct PhaseResults {
  std::vector<std::string> methods;  ///< as on the command line: "tv:3:0.5"
  std::size_t box = 0;
  double pixel_size = 0;  ///< A
  int views = 0, exposures = 0;
  std::vector<PhaseCell> cells;  ///< structures one after the other, doses within
};

/// "observation" of "raw", "low-pass 16 A" of "lowpass:16", "total variation" of "tv:3:0.5".
std::string phase_method_title(const std::string& method);

/// A row for each dose and method. `structure` empty: over all.
ReportTable phase_table(const PhaseResults& results, const std::string& structure = {});
/// Resolution and area per structure (rows: dose, structure; columns: methods); single images or means.
ReportTable phase_structure_table(const PhaseResults& results, bool mean);
ReportTable phase_comparison_table(const std::vector<PhaseComparison>& comparisons);

/// Figure 2 of Yang et al. (2025): observation, methods, truth; single images and means at each dose; and the curves.
void add_phase_sections(ReportPage& page, const PhaseResults& results);

/// The same pictures of one structure without text: rows are the methods and the truth, columns single and mean at each
/// dose. Each picture has its own grey scale.
GreyImage phase_mosaic(const PhaseResults& results, const std::string& structure);

}  // namespace cryored
