#include "preprocessing/phase/output_star.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace cryored {
namespace {

void remove_corrected(StarTable& table, CtfState state) {
  if (state == CtfState::as_before) return;
  for (const char* label : {"rlnBeamTiltX", "rlnBeamTiltY", "rlnOddZernike"}) table.remove_column(label);
  if (state == CtfState::corrected) table.remove_column("rlnEvenZernike");
}

}  // namespace

StarFile phase_star(const ParticleSet& set, const OutputStarOptions& options) {
  StarFile star = set.star();
  StarTable* table = nullptr;
  for (std::size_t i = 0; i < star.tables.size(); ++i)
    if (&set.star().tables[i] == &set.particles()) table = &star.tables[i];
  StarTable* optics = set.optics() ? star.find("optics") : nullptr;

  if (options.raw_names && !table->has("rlnReconstructImageName")) {
    table->add_column("rlnReconstructImageName", "");
    for (std::size_t row = 0; row < table->rows(); ++row)
      table->set(row, "rlnReconstructImageName", std::string(table->text(row, "rlnImageName")));
  } else if (!options.raw_names) {
    table->remove_column("rlnReconstructImageName");
  }

  std::vector<std::size_t> kept;
  for (std::size_t g = 0; g < set.groups().size(); ++g) {
    const auto& rows = set.groups()[g].rows;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (options.skipped.count(rows[i])) continue;
      table->set(rows[i], "rlnImageName", fmt::format("{:06}@{}", i + 1, options.stacks[g]));
      kept.push_back(rows[i]);
    }
  }
  std::sort(kept.begin(), kept.end());
  table->keep_rows(kept);
  remove_corrected(*table, options.ctf);
  if (options.ctf != CtfState::as_before) {
    StarTable& marked = optics ? *optics : *table;  // RELION 3.0 has no data_optics
    const char* flag = options.ctf == CtfState::corrected ? "rlnCtfDataAreCtfCorrected" : "rlnCtfDataArePhaseFlipped";
    if (!marked.has(flag)) marked.add_column(flag, "1");
    for (std::size_t row = 0; row < marked.rows(); ++row) marked.set(row, flag, "1");
  }
  if (optics) {
    remove_corrected(*optics, options.ctf);
    if (!optics->has("rlnImageSize")) {
      optics->add_column("rlnImageSize", "0");
      for (const ParticleGroup& group : set.groups())
        optics->set(*group.optics_row, "rlnImageSize", std::to_string(group.box));
    }
  }
  return star;
}

}  // namespace cryored
