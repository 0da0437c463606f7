#pragma once
// What RELION made of processed particle images, stack beside stack: table, JSON and page.

#include <optional>
#include <string>
#include <vector>

#include "core/report/page.hpp"
#include "evaluation/phase_relion.hpp"

namespace cryored {

/// One stack, classified and refined.
struct PhaseRelionResult {
  PhaseVariant stack;
  std::string title;                   ///< "raw images", "Wiener filter ..."
  std::string method, weights_sha256;  ///< PhaseMethod::description(); of the weights' file, empty: none
  std::string averages;                ///< file of the class averages
  Class2dScore classes;
  std::string end;                         ///< describe(RunEnd) of the refinement
  std::optional<RefinementScore> refined;  ///< absent until it has run
  RawMapScore raw_map;                     ///< of the raw images in the poses found
  double seconds = 0;                      ///< wall clock of the refinement
};

/// A row for each refined stack, and one for `known`, the raw images in the true poses, once its map is there.
ReportTable phase_relion_table(const std::vector<PhaseRelionResult>& results, const RawMapScore& known);

/// JSON text: an array of all stacks.
std::string phase_relion_json(const std::vector<PhaseRelionResult>& results);

/// Table, curves of the maps and class averages. Throws InputError where a file of averages cannot be read.
void add_phase_relion_sections(ReportPage& page, const std::vector<PhaseRelionResult>& results,
                               const RawMapScore& known, std::size_t box, double pixel_size);

}  // namespace cryored
