#include "evaluation/refine_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/formats/mrc.hpp"
#include "core/reconstruct/guard.hpp"
#include "core/report/plot.hpp"

namespace cryored {
namespace {

std::vector<double> frequencies(std::size_t shells, std::size_t box, double pixel_size) {
  std::vector<double> out(shells);
  for (std::size_t s = 0; s < shells; ++s) out[s] = static_cast<double>(s) / (static_cast<double>(box) * pixel_size);
  return out;
}

Map final_map(const RefinementScore& score) {
  Map map = read_mrc(score.final_maps.at(0));
  for (std::size_t k = 1; k < score.final_maps.size(); ++k) add(map, read_mrc(score.final_maps[k]));
  for (float& v : map.data) v /= static_cast<float>(score.final_maps.size());
  return map;
}

const MapScore* judged(const LabelledCell& c) {
  return judged(c.result.score, c.cell.mode.denoises, c.result.end == RunEnd::converged);
}

std::string in_angstrom(const MapScore* map) { return map ? format_number(map->resolution, 1) : "-"; }

/// Of both halves; NaN where neither has it.
double mean_of_notes(const IterationScore& it, std::optional<double> ReconstructionNote::*field) {
  double sum = 0;
  int count = 0;
  for (const ReconstructionNote& note : it.notes)
    if (const auto& value = note.*field) sum += *value, ++count;
  return count ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

double mean_lambda(const IterationScore& it) { return mean_of_notes(it, &ReconstructionNote::lambda); }
double mean_kept_noise(const IterationScore& it) { return mean_of_notes(it, &ReconstructionNote::kept_noise); }

template <typename Value>
PlotSeries per_iteration(const LabelledCell& cell, int style, Value value) {
  PlotSeries series{cell.label, {}, {}, true, style};
  for (const IterationScore& it : cell.result.score.iterations) {
    series.x.push_back(it.iteration);
    series.y.push_back(value(it));
  }
  return series;
}

/// What the denoiser created by itself, mean of both halves, one line per iteration: the first, the last and up to four
/// between. Nothing where the guard did not run.
std::string guard_plot(const LabelledCell& cell) {
  const RefinementScore& score = cell.result.score;
  std::vector<PlotSeries> lines;
  PlotOptions options;
  for (const IterationScore& it : score.iterations) {
    const std::vector<double>&a = it.notes[0].created, &b = it.notes[1].created;
    if (a.empty() || b.size() != a.size()) continue;
    PlotSeries line{fmt::format("iteration {}", it.iteration), {}, {}, false, -1};
    for (std::size_t s = 1; s < a.size(); ++s) {
      line.x.push_back(static_cast<double>(s) / (static_cast<double>(score.box) * score.pixel_size));
      line.y.push_back((a[s] + b[s]) / 2);
    }
    lines.push_back(std::move(line));
    if (it.notes[0].bound) options.thresholds = {{*it.notes[0].bound, "bound"}};
  }
  if (lines.empty()) return {};
  constexpr std::size_t most = 6;
  std::vector<PlotSeries> shown;
  for (std::size_t i = 0; i < std::min(most, lines.size()); ++i)
    shown.push_back(lines.size() <= most ? lines[i] : lines[i * (lines.size() - 1) / (most - 1)]);
  options.title = cell.label;
  options.x_label = "resolution (A)";
  options.resolution_axis = true;
  options.x_max = 0.5 / score.pixel_size;
  options.y_min = 0;
  options.y_max = 1;
  options.y_label = "created share";
  return line_plot_svg(shown, options);
}

}  // namespace

std::string format_number(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : std::string("-");
}

std::string in_mask(const MapScore* map) { return map ? format_number(map->resolution_masked, 1) : "-"; }

ReportTable result_table(const std::vector<LabelledCell>& cells) {
  ReportTable table;
  table.columns = {"refinement",
                   "FSC 0.5 to truth (A)",
                   "in mask (A)",
                   "denoised, in mask (A)",
                   "half-map FSC 0.143 (A)",
                   "angular error, median (deg)",
                   "90 % (deg)",
                   "under 10 deg (%)",
                   "iterations",
                   "ended by",
                   "minutes"};
  table.numeric = {false, true, true, true, true, true, true, true, true, false, true};
  const auto add_row = [&](const std::string& label, const RefinementScore& s, const LabelledCell& c) {
    const CellResult& result = c.result;
    const bool denoises = c.cell.mode.denoises, converged = result.end == RunEnd::converged;
    const MapScore* map = judged(s, denoises, converged);
    table.rows.push_back({label, in_angstrom(map), in_mask(map), in_mask(denoised(s, denoises, converged)),
                          format_number(s.final_half_map_resolution, 1), format_number(s.angle_median, 1),
                          format_number(s.angle_percentile90, 1), format_number(100 * s.angle_share_within_10, 0),
                          std::to_string(s.iterations.back().iteration), describe(result.end),
                          format_number(result.timeline.total_seconds / 60, 1)});
  };
  for (const LabelledCell& c : cells) {
    add_row(c.label, c.result.score, c);
    if (c.result.other_hand) add_row(c.label + ", other hand", *c.result.other_hand, c);
  }
  table.caption =
      "FSC 0.5 to the truth: of the final map; of a refinement with a denoiser that did not converge, whose last "
      "half-maps are the denoiser's own, of its raw map, without prior, mask or denoiser. Denoised: the map of the "
      "denoiser's last pass.";
  return table;
}

std::string format_text_table(const ReportTable& table) {
  // Long headings are set over several lines, so that the table fits a terminal.
  constexpr std::size_t narrow = 9;
  std::vector<std::vector<std::string>> heads(table.columns.size());
  std::vector<std::size_t> width(table.columns.size(), 0);
  std::size_t height = 0;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::string line;
    const auto flush = [&] {
      if (!line.empty()) heads[c].push_back(line);
      width[c] = std::max(width[c], line.size());
      line.clear();
    };
    std::string word;
    for (const char ch : table.columns[c] + " ") {
      if (ch != ' ') {
        word += ch;
        continue;
      }
      if (!line.empty() && line.size() + 1 + word.size() > narrow) flush();
      line += (line.empty() ? "" : " ") + word;
      word.clear();
    }
    flush();
    height = std::max(height, heads[c].size());
    for (const auto& row : table.rows) width[c] = std::max(width[c], row[c].size());
  }
  std::string out;
  const auto put = [&](std::size_t c, const std::string& cell) {
    const bool right = table.numeric.empty() ? c > 0 : table.numeric[c];
    out += right ? fmt::format("{:>{}}", cell, width[c]) : fmt::format("{:<{}}", cell, width[c]);
    out += c + 1 < table.columns.size() ? "  " : "\n";
  };
  for (std::size_t line = 0; line < height; ++line)
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const std::size_t missing = height - heads[c].size();  // headings stand on the line above the rows
      put(c, line < missing ? "" : heads[c][line - missing]);
    }
  for (const auto& row : table.rows)
    for (std::size_t c = 0; c < row.size(); ++c) put(c, row[c]);
  return out;
}

void add_refinement_sections(ReportPage& page, const DataSet& data, const Truth& truth,
                             const std::vector<LabelledCell>& cells) {
  ReportImageGrid grid;
  grid.columns = {"across x", "across y", "across z"};
  std::vector<Map> maps = {truth.map};
  for (const LabelledCell& c : cells) maps.push_back(final_map(c.result.score));
  const std::size_t scale = std::max<std::size_t>(1, (288 + truth.map.nx - 1) / truth.map.nx);
  for (std::size_t k = 0; k < maps.size(); ++k) {
    // Each map has its own window: a refined map is smoother than the truth, and its range narrower.
    const auto slices = central_slices(maps[k], percentile_window({&maps[k]}, 2, 99.7), scale);
    ReportImageGrid::Row row;
    row.heading = k == 0 ? "truth" : cells[k - 1].label;
    row.note = data.name;
    if (k > 0) {
      const LabelledCell& c = cells[k - 1];
      row.note = in_angstrom(&c.result.score.final_map) + " A to truth";
      if (judged(c) != &c.result.score.final_map)
        row.note = "the denoiser's map, " + row.note + "; without it " + in_angstrom(judged(c)) + " A";
    }
    row.images.assign(slices.begin(), slices.end());
    grid.rows.push_back(std::move(row));
  }
  std::string kinds;
  for (const LabelledCell& c : cells) kinds += (kinds.empty() ? "" : "; ") + c.label + ": " + c.result.score.final_kind;
  grid.caption = fmt::format(
      "Central slices, field of view {:.0f} A. Grey levels of each map from its percentiles 2 and 99.7. {}.",
      static_cast<double>(truth.map.nx) * truth.pixel_size, kinds);
  page.heading("Maps");
  page.image_grid(grid);

  PlotOptions options;
  options.x_label = "resolution (A)";
  options.resolution_axis = true;
  options.x_max = 0.5 / truth.pixel_size;
  options.y_min = -0.05;
  options.y_max = 1.02;
  options.y_label = "FSC";
  options.title = "Against the truth";
  options.thresholds = {{0.5, "0.5"}};
  std::vector<PlotSeries> to_truth, halves;
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const RefinementScore& s = cells[k].result.score;
    const int style = static_cast<int>(k);
    // Shell 0 is the sign of two means, which says nothing.
    const auto beyond_zero = [](const std::vector<double>& v) { return std::vector<double>(v.begin() + 1, v.end()); };
    if (const MapScore* map = judged(cells[k]))
      to_truth.push_back({cells[k].label, beyond_zero(frequencies(map->fsc.size(), s.box, s.pixel_size)),
                          beyond_zero(map->fsc), false, style});
    halves.push_back({cells[k].label, beyond_zero(frequencies(s.final_half_fsc.size(), s.box, s.pixel_size)),
                      beyond_zero(s.final_half_fsc), false, style});
  }
  if (const double beyond = data.options.randomise_phases_beyond; beyond > 0)
    for (std::vector<PlotSeries>* plot : {&to_truth, &halves})
      plot->push_back({fmt::format("phases random beyond {:g} A", beyond),
                       {1 / beyond, 1 / beyond},
                       {-0.05, 1.02},
                       false,
                       5,
                       PlotLine::dotted});
  const std::string plot_truth = line_plot_svg(to_truth, options);
  options.title = "Between the half-maps (RELION's)";
  options.thresholds = {{0.143, "0.143"}};
  page.heading("Resolution");
  page.figures(
      {plot_truth, line_plot_svg(halves, options)},
      "Left: Fourier shell correlation with the truth, without a mask, of the map that the table judges. Right: the "
      "half-map FSC "
      "that RELION computes before the prior acts; it is what CW-RED takes its confidence from." +
          std::string(
              data.options.randomise_phases_beyond > 0
                  ? " Beyond the dotted line the particles' phases are random: agreement of the half-maps there is "
                    "made by the refinement itself."
                  : ""));

  PlotOptions by_iteration;
  by_iteration.x_label = "iteration";
  by_iteration.whole_x = true;
  std::vector<PlotSeries> resolution, lambda, angle, kept;
  for (std::size_t k = 0; k < cells.size(); ++k) {
    const int style = static_cast<int>(k);
    resolution.push_back(per_iteration(cells[k], style, [](const IterationScore& it) { return it.mean.resolution; }));
    angle.push_back(per_iteration(cells[k], style, [](const IterationScore& it) { return it.angle_median; }));
    const auto add_known = [](std::vector<PlotSeries>& all, PlotSeries series) {
      if (std::any_of(series.y.begin(), series.y.end(), [](double v) { return std::isfinite(v); }))
        all.push_back(std::move(series));
    };
    add_known(lambda, per_iteration(cells[k], style, mean_lambda));
    add_known(kept, per_iteration(cells[k], style, mean_kept_noise));
  }
  by_iteration.title = "Half-maps' mean, FSC 0.5 to the truth";
  by_iteration.y_label = "A";
  std::vector<std::string> plots = {line_plot_svg(resolution, by_iteration)};
  by_iteration.title = "Median angular error";
  by_iteration.y_label = "degrees";
  plots.push_back(line_plot_svg(angle, by_iteration));
  if (!kept.empty()) {
    by_iteration.title = fmt::format("Noise that the denoiser keeps (above {:g}: badly aligned)", kKeptNoiseBound);
    by_iteration.y_label = "kept noise";
    plots.push_back(line_plot_svg(kept, by_iteration));
  }
  if (!lambda.empty()) {
    by_iteration.title = "Weight lambda of the denoiser";
    by_iteration.y_label = "lambda";
    by_iteration.y_min = 0;
    by_iteration.y_max = 1;
    plots.push_back(line_plot_svg(lambda, by_iteration));
  }
  page.heading("Iteration by iteration");
  page.figures(
      plots, truth.self_rotations.size() > 1
                 ? fmt::format("Angular errors are counted up to the {} rotations that map the structure onto itself "
                               "(FSC of 0.5 or more "
                               "from 30 A to 12 A): which of them a particle takes is not visible at that resolution.",
                               truth.self_rotations.size())
                 : std::string());

  std::vector<std::string> guards;
  for (const LabelledCell& c : cells)
    if (const std::string plot = guard_plot(c); !plot.empty()) guards.push_back(plot);
  if (!guards.empty()) {
    page.heading("What the denoiser creates by itself");
    page.figures(guards,
                 "Share of the denoiser's output that it makes from the low resolution alone, without any agreement in "
                 "its input (--guard; docs/guard.md), mean of both half-maps.");
  }

  ReportTable table;
  table.columns = {"refinement",
                   "iteration",
                   "half-maps' mean, FSC 0.5 to truth (A)",
                   "half-map FSC 0.143 (A)",
                   "median error (deg)",
                   "lambda",
                   "kept noise",
                   "reconstruction (s)",
                   "iteration (s)"};
  for (const LabelledCell& c : cells)
    for (const IterationScore& it : c.result.score.iterations) {
      double seconds = std::numeric_limits<double>::quiet_NaN();
      for (const ReconstructionNote& note : it.notes)
        if (note.seconds) seconds = std::isfinite(seconds) ? std::max(seconds, *note.seconds) : *note.seconds;
      table.rows.push_back({c.label, std::to_string(it.iteration), format_number(it.mean.resolution, 1),
                            format_number(it.half_map_resolution, 1), format_number(it.angle_median, 1),
                            format_number(mean_lambda(it), 2), format_number(mean_kept_noise(it), 2),
                            format_number(seconds, 1), it.seconds > 0 ? format_number(it.seconds, 0) : "-"});
    }
  page.table(table);
}

}  // namespace cryored
