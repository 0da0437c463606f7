// The pictures of the benchmark's page, and what its parts share.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/fourier/shells.hpp"
#include "core/report/image.hpp"
#include "evaluation/benchmark.hpp"
#include "evaluation/benchmark_panels.hpp"
#include "evaluation/compressed_map.hpp"
#include "evaluation/refine_page.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

double amount_of(const CellRecord& r) { return r.factor > 0 ? r.factor : r.requested_snr(); }

std::optional<Map> map_at(const std::string& path) {
  if (!fs::exists(path)) return {};
  return read_compressed_map(path);
}

GreyImage slice_of(const std::optional<Map>& map) {
  if (!map) return {};
  const std::size_t scale = std::max<std::size_t>(1, (192 + map->nx - 1) / map->nx);
  return central_slices(*map, percentile_window({&*map}, 2, 99.7), scale)[2];
}

std::optional<Map> truth_of(const CellRecord& r, const std::string& results) {
  ParticleOptions size;
  const auto particles = nlohmann::json::parse(r.particles);
  size.box = particles.value("box", size.box);
  size.pixel_size = particles.value("pixel_size_A", size.pixel_size);
  size.b_factor = particles.value("b_factor_A2", size.b_factor);
  size.factor = particles.value("factor", size.factor);
  size.pdb2mrc_resolution = particles.value("pdb2mrc_resolution_A", size.pdb2mrc_resolution);
  size.hydrogens = particles.value("hydrogens", size.hydrogens);
  return map_at(truth_path(results, r.structure, size));
}

/// The truth multiplied by a curve over its shells, as in the paper's figure 4.
Map filtered(const Map& map, const std::vector<double>& curve) {
  std::vector<float> factors;
  factors.reserve(curve.size());
  for (const double value : curve) factors.push_back(static_cast<float>(std::max(0.0, value)));
  return multiply_shells(map, factors);
}

}  // namespace

Panels panels_of(const BenchmarkSummary& summary, bool large) {
  Panels grid;
  std::set<double, std::greater<>> amounts;
  for (const DataSetRecords& d : summary.data_sets) {
    const CellRecord& r = d.any();
    if (r.large != large || r.seed != 1 || !(d.usual || large) || !d.plain) continue;
    if (std::find(grid.proteins.begin(), grid.proteins.end(), r.structure) == grid.proteins.end())
      grid.proteins.push_back(r.structure);
    amounts.insert(amount_of(r));
    grid.at[{amount_of(r), r.structure}] = &d;
  }
  grid.amounts.assign(amounts.begin(), amounts.end());
  return grid;
}

const CellRecord* record_of(const DataSetRecords* d, const std::string& label) {
  if (!d) return nullptr;
  const auto found = d->by_label.find(label);
  return found == d->by_label.end() ? nullptr : found->second;
}

std::vector<std::string> refined_labels(const BenchmarkSummary& summary) {
  std::vector<std::string> out;
  for (const std::string& label : summary.columns)
    if (mode_parts(label.substr(0, label.find('@'))).refines && label.find("gaussian") == std::string::npos)
      out.push_back(label);
  return out;
}

void add_hardest_slices(ReportPage& page, const BenchmarkSummary& summary, const std::string& results) {
  // The data set in which plain is worst, of those where the denoiser was tried with lambda 1, else at all.
  const DataSetRecords* hardest = nullptr;
  bool with_red = false;
  for (const DataSetRecords& d : summary.data_sets) {
    if (!d.plain || d.by_label.size() < 2 || invented(*d.plain) || d.plain->large) continue;
    bool red = false, other = false;
    for (const auto& [label, r] : d.by_label) {
      red = red || r->mode == "red";
      other = other || (mode_parts(r->mode).refines && r->mode != "plain");
    }
    if (!other || (with_red && !red)) continue;
    if (!hardest || (red && !with_red) || truth_shell(*d.plain, true) < truth_shell(*hardest->plain, true))
      hardest = &d;
    with_red = with_red || red;
  }
  if (!hardest) return;
  ReportImageGrid grid;
  grid.columns = {"refined", "truth, as far as the half-maps agree"};
  for (const std::string& label : refined_labels(summary)) {
    const CellRecord* r = record_of(hardest, label);
    if (!r) continue;
    const std::optional<Map> truth = truth_of(*r, results), map = map_at(r->map_path());
    // The map that is kept is the final one, whichever is judged.
    const MapScore* judged_map = judged(*r);
    std::string note = fmt::format("{} A to truth", judged_map ? format_number(judged_map->resolution, 1) : "-");
    if (judged_map != &r->score.final_map)
      note += fmt::format(" (shown: the denoiser's map, {} A)", format_number(r->score.final_map.resolution, 1));
    note += fmt::format(", half-maps {} A", format_number(r->score.final_half_map_resolution, 1));
    if (judged_map) note += fmt::format(", {:+.1f} shells", inflation(*r));
    ReportImageGrid::Row row{
        label, note, {slice_of(map), truth ? slice_of(filtered(*truth, r->score.final_half_fsc)) : GreyImage{}}};
    grid.rows.push_back(std::move(row));
  }
  grid.caption =
      "Central slices of the final maps of " + hardest->name +
      ", where plain RELION does worst, and of the truth multiplied by the half-map FSC: what a map of that half-map "
      "FSC ought to show. Features of the left pictures that the right ones lack are invented.";
  page.heading("Figure 4: the hardest cell");
  page.image_grid(grid);
}

void add_slices(ReportPage& page, const BenchmarkSummary& summary, const Panels& grid, const std::string& results) {
  // Plain, and beside it the program's most trusted way that most data sets have.
  std::string other;
  std::size_t most = 0;
  for (const std::string& label : refined_labels(summary)) {
    std::size_t have = 0;
    for (const auto& [at, d] : grid.at) have += label != "plain" && record_of(d, label) != nullptr;
    if (have > most || (have == most && label.starts_with("per-shell"))) most = have, other = label;
  }
  ReportImageGrid pictures;
  pictures.width = 112;
  ReportImageGrid::Row truths{"truth", "", {}};
  for (const std::string& protein : grid.proteins) {
    pictures.columns.push_back(fmt::format("{}, plain", protein));
    if (!other.empty()) pictures.columns.push_back(fmt::format("{}, {}", protein, other));
    GreyImage picture;
    for (const auto& [at, d] : grid.at)
      if (at.second == protein && picture.pixels.empty()) picture = slice_of(truth_of(d->any(), results));
    truths.images.push_back(picture);
    if (!other.empty()) truths.images.push_back({});
  }
  pictures.rows.push_back(std::move(truths));
  for (const double amount : grid.amounts) {
    ReportImageGrid::Row row{fmt::format("{:g}", amount), "", {}};
    for (const std::string& protein : grid.proteins) {
      const auto found = grid.at.find({amount, protein});
      const DataSetRecords* d = found == grid.at.end() ? nullptr : found->second;
      for (const std::string& label : {std::string("plain"), other}) {
        if (label.empty()) continue;
        const CellRecord* r = record_of(d, label);
        row.images.push_back(r ? slice_of(map_at(r->map_path())) : GreyImage{});
      }
    }
    pictures.rows.push_back(std::move(row));
  }
  pictures.caption =
      "Central slices across z of the final maps (of a refinement with a denoiser that did not converge the "
      "denoiser's), SNR falling from row to row; grey levels of each map from its percentiles 2 and 99.7.";
  page.heading("Figure 6: the maps");
  page.image_grid(pictures);
}

}  // namespace cryored
