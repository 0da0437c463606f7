#include "evaluation/phase_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/report/plot.hpp"
#include "evaluation/refine_page.hpp"

namespace cryored {
namespace {

std::vector<double> doses_of(const PhaseResults& results) {
  std::vector<double> doses;
  for (const PhaseCell& c : results.cells)
    if (std::find(doses.begin(), doses.end(), c.dose) == doses.end()) doses.push_back(c.dose);
  return doses;
}

std::vector<std::string> structures_of(const PhaseResults& results) {
  std::vector<std::string> names;
  for (const PhaseCell& c : results.cells)
    if (std::find(names.begin(), names.end(), c.structure) == names.end()) names.push_back(c.structure);
  return names;
}

/// Scores of one method at one dose, of one structure or of all.
std::vector<const PhaseScore*> scores_of(const PhaseResults& results, std::size_t method, double dose,
                                         const std::string& structure) {
  std::vector<const PhaseScore*> scores;
  for (const PhaseCell& c : results.cells)
    if (c.dose == dose && (structure.empty() || c.structure == structure)) scores.push_back(&c.scores[method]);
  return scores;
}

GreyImage picture(const Map& map, std::size_t scale) {
  return slice_image(map, SliceAxis::z, 0, percentile_window({&map}, 1, 99.7), scale);
}

std::size_t picture_scale(std::size_t box) { return std::max<std::size_t>(1, 160 / box); }

/// Curves of all methods at one dose; the median over the structures where there are several.
std::string curves(const PhaseResults& results, double dose, bool mean, const std::string& structure) {
  std::vector<PlotSeries> lines;
  for (std::size_t m = 0; m < results.methods.size(); ++m) {
    // The observation's sign changes with the CTF's, and there are lines enough.
    if (results.methods[m] == "raw" && results.methods.size() > 1) continue;
    const auto scores = scores_of(results, m, dose, structure);
    PlotSeries line{phase_method_title(results.methods[m]), {}, {}, false, -1};
    const std::size_t rings = scores.empty() ? 0 : scores[0]->single_frc.size();
    for (std::size_t s = 1; s < rings; ++s) {
      std::vector<double> values;
      values.reserve(scores.size());
      for (const PhaseScore* score : scores) values.push_back((mean ? score->mean_frc : score->single_frc)[s]);
      line.x.push_back(static_cast<double>(s) / (static_cast<double>(results.box) * results.pixel_size));
      line.y.push_back(median(std::move(values)));
    }
    lines.push_back(std::move(line));
  }
  PlotOptions options;
  options.title = fmt::format("{:g} e/A^2, {}", dose,
                              mean ? fmt::format("mean of {}", results.exposures) : std::string("single image"));
  options.x_label = "resolution (A)";
  options.resolution_axis = true;
  options.x_max = 0.5 / results.pixel_size;
  options.y_min = -0.1;
  options.y_max = 1.02;
  options.y_label = "FRC to the true phase";
  options.thresholds = {{0.5, "0.5"}};
  return line_plot_svg(lines, options);
}

std::vector<std::string> summary_cells(const PhaseSummary& s) {
  return {
      format_number(s.single_resolution, 1), format_number(s.single_area, 3),    format_number(s.mean_resolution, 1),
      format_number(s.mean_area, 3),         format_number(s.single_outline, 3), format_number(s.mean_outline, 3),
      format_number(s.contrast, 2),          format_number(s.blank_power, 2),    format_number(s.blank_area, 3),
      format_number(s.blank_repeat, 3),      format_number(s.wrong_area, 3),     format_number(s.seconds, 3)};
}

}  // namespace

std::string phase_method_title(const std::string& method) {
  const std::size_t colon = method.find(':');
  const std::string name = method.substr(0, colon), rest = colon == std::string::npos ? "" : method.substr(colon + 1);
  if (name == "raw") return "observation";
  if (name == "lowpass") return "low-pass " + rest + " A";
  if (name == "flip") return "phase flip";
  if (name == "wiener") return "Wiener " + rest;
  if (name == "iterative") return "iterative " + rest;
  if (name == "tv") return "total variation " + rest;
  if (name == "pinn") return "PINN" + (rest.empty() ? "" : " " + rest);
  return method;
}

ReportTable phase_table(const PhaseResults& results, const std::string& structure) {
  ReportTable table;
  const std::string mean = fmt::format("mean of {}", results.exposures);
  table.columns = {"e/A^2",
                   "method",
                   "single: FRC 0.5 (A)",
                   "single: area",
                   mean + ": FRC 0.5 (A)",
                   mean + ": area",
                   "single: area in outline",
                   mean + ": area in outline",
                   "contrast",
                   "blank: power",
                   "blank: FRC to truth",
                   "blank: FRC to itself",
                   "wrong molecule",
                   "s / image"};
  table.numeric = std::vector<bool>(table.columns.size(), true);
  table.numeric[1] = false;
  for (const double dose : doses_of(results))
    for (std::size_t m = 0; m < results.methods.size(); ++m) {
      std::vector<std::string> row = {format_number(dose, 0), phase_method_title(results.methods[m])};
      for (std::string& cell : summary_cells(summarise(scores_of(results, m, dose, structure))))
        row.push_back(std::move(cell));
      table.rows.push_back(std::move(row));
    }
  return table;
}

ReportTable phase_structure_table(const PhaseResults& results, bool mean) {
  ReportTable table;
  table.columns = {"e/A^2", "structure"};
  table.numeric = {true, false};
  for (const std::string& method : results.methods) {
    table.columns.push_back(phase_method_title(method));
    table.numeric.push_back(true);
  }
  for (const double dose : doses_of(results))
    for (const std::string& structure : structures_of(results)) {
      std::vector<std::string> row = {format_number(dose, 0), structure};
      for (std::size_t m = 0; m < results.methods.size(); ++m) {
        const PhaseSummary s = summarise(scores_of(results, m, dose, structure));
        row.push_back(format_number(mean ? s.mean_resolution : s.single_resolution, 1) + " A, " +
                      format_number(mean ? s.mean_area : s.single_area, 3));
      }
      table.rows.push_back(std::move(row));
    }
  return table;
}

ReportTable phase_comparison_table(const std::vector<PhaseComparison>& comparisons) {
  ReportTable table;
  table.columns = {"structure",   "e/A^2",   "images",    "against",          "area",
                   "its area",    "ratio",   "95 %",      "ratio in outline", "larger in (%)",
                   "FRC 0.5 (A)", "its (A)", "area goal", "FRC 0.5 goal"};
  table.numeric = {false, true, false, false, true, true, true, true, true, true, true, true, false, false};
  for (const PhaseComparison& c : comparisons)
    table.rows.push_back({c.structure, format_number(c.dose, 0), c.mean ? "mean" : "single",
                          phase_method_title(c.baseline), format_number(c.area, 3), format_number(c.other_area, 3),
                          format_number(c.ratio, 3), format_number(c.low, 2) + " to " + format_number(c.high, 2),
                          format_number(c.outline_ratio, 3), format_number(100 * c.share_better, 0),
                          format_number(c.resolution, 1), format_number(c.other_resolution, 1),
                          c.area_met ? "met" : "MISSED", c.resolution_met ? "met" : "MISSED"});
  return table;
}

void add_phase_sections(ReportPage& page, const PhaseResults& results) {
  const std::vector<double> doses = doses_of(results);
  const std::vector<std::string> structures = structures_of(results);
  page.heading("FRC to the true phase");
  std::vector<std::string> plots;
  for (const double dose : doses)
    for (const bool mean : {false, true}) plots.push_back(curves(results, dose, mean, {}));
  page.figures(plots, structures.size() > 1
                          ? fmt::format("Median over {} structures of their medians over particles.", structures.size())
                          : std::string("Median over particles."));
  for (const std::string& structure : structures) {
    page.heading(structure);
    ReportImageGrid grid;
    std::vector<const PhaseCell*> cells;
    for (const PhaseCell& c : results.cells)
      if (c.structure == structure) cells.push_back(&c);
    for (const PhaseCell* c : cells) {
      grid.columns.push_back(fmt::format("{:g} e/A^2, single", c->dose));
      grid.columns.push_back(fmt::format("{:g} e/A^2, mean of {}", c->dose, results.exposures));
    }
    const std::size_t scale = picture_scale(results.box);
    for (std::size_t m = 0; m < results.methods.size(); ++m) {
      ReportImageGrid::Row row;
      row.heading = phase_method_title(results.methods[m]);
      for (const PhaseCell* c : cells) {
        const PhaseSummary s = summarise({&c->scores[m]});
        row.note += fmt::format("{}{:g} e/A^2: {} and {} A", row.note.empty() ? "" : "; ", c->dose,
                                format_number(s.single_resolution, 1), format_number(s.mean_resolution, 1));
        row.images.push_back(picture(c->scores[m].single, scale));
        row.images.push_back(picture(c->scores[m].mean, scale));
      }
      grid.rows.push_back(std::move(row));
    }
    ReportImageGrid::Row truth{"true phase", "", {}};
    for (const PhaseCell* c : cells)
      for (int i = 0; i < 2; ++i) truth.images.push_back(picture(c->truth, scale));
    grid.rows.push_back(std::move(truth));
    grid.caption = fmt::format(
        "First view of {}, field of view {:.0f} A; each picture's grey levels from its own percentiles 1 and 99.7. "
        "Under "
        "the names: FRC 0.5 of single images and of means, medians over all views.",
        structure, static_cast<double>(results.box) * results.pixel_size);
    page.image_grid(grid);
    if (structures.size() > 1) {
      plots.clear();
      for (const double dose : doses)
        for (const bool mean : {false, true}) plots.push_back(curves(results, dose, mean, structure));
      page.figures(plots, "Median over particles.");
    }
    page.table(phase_table(results, structure));
  }
}

GreyImage phase_mosaic(const PhaseResults& results, const std::string& structure) {
  std::vector<std::vector<GreyImage>> rows(results.methods.size() + 1);
  for (const PhaseCell& c : results.cells) {
    if (c.structure != structure) continue;
    for (std::size_t m = 0; m < results.methods.size(); ++m) {
      rows[m].push_back(picture(c.scores[m].single, 1));
      rows[m].push_back(picture(c.scores[m].mean, 1));
    }
    for (int i = 0; i < 2; ++i) rows.back().push_back(picture(c.truth, 1));
  }
  constexpr std::size_t gap = 4;
  const std::size_t cell = results.box + gap;
  GreyImage all{rows[0].size() * cell - gap, rows.size() * cell - gap, {}};
  all.pixels.assign(all.width * all.height, 255);
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < rows[r].size(); ++c)
      for (std::size_t y = 0; y < results.box; ++y)
        std::copy_n(rows[r][c].pixels.begin() + static_cast<std::ptrdiff_t>(y * results.box), results.box,
                    all.pixels.begin() + static_cast<std::ptrdiff_t>((r * cell + y) * all.width + c * cell));
  return all;
}

}  // namespace cryored
