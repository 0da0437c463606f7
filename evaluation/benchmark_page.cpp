#include "evaluation/benchmark_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "core/report/plot.hpp"
#include "evaluation/benchmark.hpp"
#include "evaluation/benchmark_panels.hpp"
#include "evaluation/benchmark_table.hpp"
#include "evaluation/refine_page.hpp"

namespace cryored {
namespace {

constexpr int kCeilingStyle = 5;

/// Colour of a way of refining: the same on the whole page.
int style_of(const std::string& mode) {
  if (mode == "known-angles") return kCeilingStyle;
  if (mode == "plain") return 0;
  if (mode == "cw-red") return 1;
  if (mode == "red") return 3;
  if (mode == "per-shell") return 2;
  return 4;
}

std::vector<double> shell_frequencies(std::size_t shells, const RefinementScore& s) {
  std::vector<double> out;
  for (std::size_t k = 1; k < shells; ++k)
    out.push_back(static_cast<double>(k) / (static_cast<double>(s.box) * s.pixel_size));
  return out;
}

/// Shell 0 is the sign of two means, which says nothing.
PlotSeries curve(const std::string& name, const std::vector<double>& fsc, const RefinementScore& s, int style,
                 PlotLine line) {
  return {name, shell_frequencies(fsc.size(), s), std::vector<double>(fsc.begin() + 1, fsc.end()), false, style, line};
}

PlotOptions fsc_options(const RefinementScore& s, const std::string& title) {
  PlotOptions o;
  o.title = title;
  o.x_label = "resolution (A)";
  o.resolution_axis = true;
  o.x_max = 0.5 / s.pixel_size;
  o.y_min = -0.05;
  o.y_max = 1.02;
  o.y_label = "FSC";
  o.thresholds = {{0.5, ""}, {0.143, ""}};
  o.width = 340;
  o.height = 250;
  return o;
}

using Drawing = std::function<std::string(const DataSetRecords&, const std::string& title)>;

/// One small plot per cell of the grid; empty where `draw` gives nothing.
std::vector<std::string> draw_grid(const Panels& grid, const Drawing& draw) {
  std::vector<std::string> plots;
  for (const double amount : grid.amounts)
    for (const std::string& protein : grid.proteins) {
      const auto found = grid.at.find({amount, protein});
      plots.push_back(found == grid.at.end() ? std::string()
                                             : draw(*found->second, fmt::format("{}, {:g}", protein, amount)));
    }
  return plots;
}

std::string fsc_plot(const DataSetRecords& d, const std::string& title, const std::vector<std::string>& shown) {
  std::vector<PlotSeries> series;
  for (const std::string& label : shown) {
    const CellRecord* r = record_of(&d, label);
    if (!r) continue;
    if (const MapScore* map = judged(*r))
      series.push_back(curve("", map->fsc_masked, r->score, style_of(r->mode), PlotLine::solid));
    if (r->mode != "known-angles" && r->mode != "plain+denoise")
      series.push_back(curve("", r->score.final_half_fsc, r->score, style_of(r->mode), PlotLine::dotted));
  }
  return series.empty() ? std::string() : line_plot_svg(series, fsc_options(d.any().score, title));
}

std::string mode_legend(const std::vector<std::string>& shown, bool halves) {
  std::vector<PlotSeries> series;
  for (const std::string& label : shown) {
    const std::string mode = label.substr(0, label.find('@'));
    series.push_back({label, {}, {}, false, style_of(mode), PlotLine::solid});
    if (halves && mode != "known-angles" && mode != "plain+denoise")
      series.push_back({label + ", half-maps", {}, {}, false, style_of(mode), PlotLine::dotted});
  }
  return plot_legend_svg(series, 1040);
}

/// The labels of a mode, and of the modes given, that the summary has.
std::vector<std::string> labels_of(const BenchmarkSummary& summary, const std::vector<std::string>& modes) {
  std::vector<std::string> out;
  for (const std::string& mode : modes)
    for (const std::string& label : summary.columns)
      if (label == mode || label.starts_with(mode + "@")) out.push_back(label);
  return out;
}

void add_gaussian_noise(ReportPage& page, const BenchmarkSummary& summary) {
  const std::vector<std::string> noise = labels_of(summary, {"known-angles", "plain", "red-gaussian-noise", "red"});
  std::vector<std::string> some;
  for (const DataSetRecords& d : summary.data_sets)
    for (const auto& [label, r] : d.by_label)
      if (r->mode == "red-gaussian-noise") some.push_back(fsc_plot(d, d.name, noise));
  if (some.empty()) return;
  page.heading("Figure 2: a denoiser trained on Gaussian noise");
  page.figure_grid(some, 3, mode_legend(noise, true),
                   "As figure 3, where the denoiser of Gaussian noise was run as well.");
}

void add_fsc_figures(ReportPage& page, const BenchmarkSummary& summary, const Panels& grid, const std::string& what) {
  std::vector<std::string> shown = labels_of(summary, {"known-angles"});
  for (const std::string& label : refined_labels(summary)) shown.push_back(label);
  page.heading("Figure 3: Fourier shell correlations" + what);
  page.figure_grid(
      draw_grid(grid, [&](const DataSetRecords& d, const std::string& title) { return fsc_plot(d, title, shown); }),
      static_cast<int>(std::max<std::size_t>(1, grid.proteins.size())), mode_legend(shown, true),
      "Proteins in columns, SNR falling from row to row. Solid: judged map against the truth inside the "
      "mask of the truth (the final one; of a refinement with a denoiser that did not converge the raw one); "
      "known-angles is the ceiling that no assignment of angles can pass. Dotted: RELION's half-map "
      "FSC. "
      "Lines at 0.5 and 0.143.");
}

void add_angles(ReportPage& page, const BenchmarkSummary& summary, const Panels& grid) {
  const std::vector<std::string> shown = refined_labels(summary);
  page.heading("Figure 5: errors of the angles");
  page.figure_grid(
      draw_grid(grid,
                [&](const DataSetRecords& d, const std::string& title) {
                  std::vector<PlotSeries> series;
                  for (const std::string& label : shown) {
                    const CellRecord* r = record_of(&d, label);
                    if (!r || r->score.angle_histogram.empty()) continue;
                    PlotSeries s{"", {}, {}, false, style_of(r->mode), PlotLine::solid};
                    for (std::size_t k = 0; k < 30; ++k) {
                      s.x.push_back(2 * static_cast<double>(k) + 1);
                      s.y.push_back(100 * r->score.angle_histogram[k]);
                    }
                    series.push_back(std::move(s));
                  }
                  if (series.empty()) return std::string();
                  PlotOptions o;
                  o.title = title;
                  o.x_label = "angular error (degrees)";
                  o.y_label = "% per 2 degrees";
                  o.x_min = 0;
                  o.x_max = 60;
                  o.y_min = 0;
                  double most = 5;
                  for (const PlotSeries& s : series) most = std::max(most, *std::max_element(s.y.begin(), s.y.end()));
                  o.y_max = 1.05 * most;
                  o.width = 340;
                  o.height = 230;
                  return line_plot_svg(series, o);
                }),
      static_cast<int>(std::max<std::size_t>(1, grid.proteins.size())), mode_legend(shown, false),
      "Share of the particles per 2 degrees of error of their orientation, after one rotation of the whole map was "
      "fitted and up to the turns that lay the structure onto itself. Errors over 60 degrees are not shown; the table "
      "has the share under 10.");
}

void add_inflation(ReportPage& page, const BenchmarkSummary& summary) {
  std::map<std::string, PlotSeries> points;
  double finest = 0.05;
  for (const DataSetRecords& d : summary.data_sets)
    for (const auto& [label, r] : d.by_label) {
      if (!mode_parts(r->mode).refines || invented(*r) || !judged(*r)) continue;
      const double unit = 1 / (static_cast<double>(r->score.box) * r->score.pixel_size);
      const auto added = points.emplace(label, PlotSeries{label, {}, {}, true, style_of(r->mode), PlotLine::none});
      added.first->second.x.push_back(truth_shell(*r, false) * unit);
      added.first->second.y.push_back(inflation(*r));
      finest = std::max(finest, truth_shell(*r, false) * unit);
    }
  if (points.empty()) return;
  std::vector<PlotSeries> series;
  series.reserve(points.size());
  for (auto& [label, s] : points) series.push_back(std::move(s));
  PlotOptions o;
  o.width = 960;
  o.height = 400;
  o.title = "Inflation of every refinement";
  o.x_label = "judged map, FSC 0.5 to truth (A)";
  o.resolution_axis = true;
  o.x_max = 1.05 * finest;
  o.y_label = "shells";
  o.thresholds = {{0, "half-maps and truth agree"}};
  page.heading("Do the half-maps promise too much?");
  page.figure(
      line_plot_svg(series, o),
      "Shells by which RELION's half-map FSC at 0.143 lies beyond the judged map's FSC 0.5 to the truth, both without "
      "a mask; above 0 the half-maps promise more than is there.");
}

void add_inventions(ReportPage& page, const BenchmarkSummary& summary) {
  std::vector<std::string> plots;
  for (const DataSetRecords& d : summary.data_sets) {
    if (!invented(d.any())) continue;
    const double beyond = nlohmann::json::parse(d.any().particles)["randomise_phases_beyond_A"];
    std::vector<PlotSeries> series;
    for (const std::string& label : refined_labels(summary))
      if (const CellRecord* r = record_of(&d, label))
        series.push_back(curve(fmt::format("{} ({:+.3f})", label, *invented(*r)), r->score.final_half_fsc, r->score,
                               style_of(r->mode), PlotLine::solid));
    if (series.empty()) continue;
    PlotOptions o = fsc_options(d.any().score, d.name);
    o.width = 640;
    o.height = 360;
    o.y_label = "half-map FSC";
    series.push_back({fmt::format("{:g} A", beyond),
                      {1 / beyond, 1 / beyond},
                      {-0.05, 1.02},
                      false,
                      kCeilingStyle,
                      PlotLine::dotted});
    plots.push_back(line_plot_svg(series, o));
  }
  if (plots.empty()) return;
  page.heading("What the refinement invents");
  page.figures(
      plots,
      "Particles whose phases are random beyond the dotted line: agreement of the half-maps there is made by the "
      "refinement itself. In brackets the mean half-map FSC beyond the line.");
}

}  // namespace

std::string benchmark_page(const BenchmarkSummary& summary, const std::string& results) {
  std::set<std::string> relion, programs;
  for (const DataSetRecords& d : summary.data_sets)
    for (const auto& [label, r] : d.by_label) {
      if (!r->relion_version.empty()) relion.insert(r->relion_version);
      programs.insert(r->program_version + " (" + r->program_commit + ")");
    }
  const auto joined = [](const std::set<std::string>& names) {
    std::string out;
    for (const std::string& n : names) out += (out.empty() ? "" : ", ") + n;
    return out.empty() ? std::string("none") : out;
  };
  ReportPage page(
      "The refinement benchmark",
      "Simulated particles refined by relion_refine --auto_refine, alone and with cryored, against the structures they "
      "came from. Figures are numbered as in Kimanius et al., IUCrJ 8 (2021) 60.");
  page.paragraph("RELION " + joined(relion) + "; cryored " + joined(programs) + ".");
  page.heading("Resolution");
  page.table(overview_table(summary));
  if (!summary.modes.empty()) {
    page.heading("Against plain RELION");
    page.table(goal_table(summary));
  }
  add_gaussian_noise(page, summary);
  for (const bool large : {false, true}) {
    const Panels grid = panels_of(summary, large);
    if (grid.at.empty()) continue;
    add_fsc_figures(page, summary, grid, large ? ", at the paper's own size" : "");
    if (!large) add_hardest_slices(page, summary, results);
    add_angles(page, summary, grid);
    add_slices(page, summary, grid, results);
  }
  add_inflation(page, summary);
  add_inventions(page, summary);
  page.heading("All figures");
  page.table(detail_table(summary));
  return page.html();
}

std::string benchmark_markdown(const BenchmarkSummary& summary) {
  std::string text =
      "# Records of the refinement benchmark\n\nMade by `./dev bench refine --report` from the records in this folder; "
      "docs/refinements.md tells what they hold.\n\n## Resolution\n\n" +
      markdown_table(overview_table(summary));
  if (!summary.modes.empty()) text += "\n## Against plain RELION\n\n" + markdown_table(goal_table(summary));
  return text + "\n## All figures\n\n" + markdown_table(detail_table(summary));
}

}  // namespace cryored
