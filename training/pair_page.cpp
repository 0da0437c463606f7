#include "training/pair_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/json_text.hpp"
#include "core/report/plot.hpp"

namespace cryored {
namespace {

constexpr std::size_t kPower = 0, kFsc = 1, kPromised = 2, kAmplitude = 3;

std::string cell(const Spread& s, double away, int decimals) {
  if (!std::isfinite(s.mean)) return "-";
  std::string text = fmt::format("{:.{}f}", s.mean, decimals);
  text += std::isfinite(s.spread) ? fmt::format(" ({:.{}f})", s.spread, decimals) : " (-)";
  // Of equal width, so that the figures stand below one another.
  const double beyond = std::abs(away);
  return text + (beyond > 2 ? "**" : beyond > 1 ? " *" : "  ");
}

PlotSeries series_of(const PairComparison& comparison, const FolderBin& folder, std::size_t which,
                     const std::string& name, int style, double spreads) {
  // Dots beside the lines tell promised from true, so that colour alone is left for the folders.
  PlotSeries line{name, {}, {}, false, style, which == kFsc ? PlotLine::solid : PlotLine::own};
  const std::vector<Spread>& curve = folder.curves[which];
  for (std::size_t s = 1; s < curve.size(); ++s) {
    if (2 * curve[s].structures < folder.structures) continue;
    line.x.push_back(static_cast<double>(s) / (static_cast<double>(comparison.box) * comparison.voxel));
    line.y.push_back(curve[s].mean + (spreads == 0 ? 0 : spreads * curve[s].spread));
  }
  return line;
}

nlohmann::ordered_json spread_json(const Spread& s) {
  return {{"mean", s.mean}, {"spread", s.spread}, {"structures", s.structures}};
}

}  // namespace

ReportTable pair_table(const PairComparison& comparison, const ResolutionBin& bin) {
  ReportTable table;
  table.columns = {"figure"};
  table.numeric = {false};
  std::vector<std::string> pairs = {"pairs"}, structures = {"structures"};
  for (std::size_t f = 0; f < bin.folders.size(); ++f) {
    table.columns.push_back(comparison.names[f]);
    table.numeric.push_back(true);
    pairs.push_back(std::to_string(bin.folders[f].pairs) + "  ");
    structures.push_back(std::to_string(bin.folders[f].structures) + "  ");
  }
  table.rows = {std::move(pairs), std::move(structures)};
  for (std::size_t k = 0; k < pair_figure_kinds().size(); ++k) {
    const PairFigureKind& kind = pair_figure_kinds()[k];
    std::vector<std::string> row = {kind.title};
    for (std::size_t f = 0; f < bin.folders.size(); ++f)
      row.push_back(cell(bin.folders[f].figures[k], f == 0 ? 0 : bin.folders[f].away[k], kind.decimals));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::vector<std::string> pair_plots(const PairComparison& comparison, std::size_t which) {
  std::vector<std::string> plots;
  for (const ResolutionBin& bin : comparison.bins) {
    std::vector<PlotSeries> lines;
    for (std::size_t f = 0; f < bin.folders.size(); ++f) {
      if (bin.folders[f].pairs == 0) continue;
      const int style = static_cast<int>(f % 6);
      lines.push_back(series_of(comparison, bin.folders[f], which, comparison.names[f], style, 0));
      std::vector<PlotSeries> dots;
      if (which == kFsc)
        dots.push_back(series_of(comparison, bin.folders[f], kPromised, comparison.names[f] + ", promised", style, 0));
      else if (f == 0)
        for (const double side : {-1.0, 1.0})
          dots.push_back(series_of(comparison, bin.folders[f], which, {}, style, side));
      for (PlotSeries& line : dots) {
        line.line = PlotLine::dotted;
        lines.push_back(std::move(line));
      }
    }
    if (lines.empty()) continue;
    PlotOptions options;
    options.title = bin.title();
    options.x_label = "resolution (A)";
    options.resolution_axis = true;
    options.x_max = 0.5 / comparison.voxel;
    options.y_label = which == kPower ? "log10" : which == kFsc ? "FSC" : "factor";
    if (which == kFsc) {
      options.y_min = -0.05;
      options.y_max = 1.02;
    }
    plots.push_back(line_plot_svg(lines, options));
  }
  return plots;
}

std::string pair_page(const PairComparison& comparison, const std::string& command) {
  ReportPage page(
      "Training pairs compared",
      fmt::format("Inputs of pairs against their truths, by nominal resolution (half-map FSC 0.143). The first folder, "
                  "{}, is the reference. Mean over structures; in brackets the standard deviation between structures. "
                  "* and **: away from the reference's mean by more than one and two of the reference's.",
                  comparison.names[0]));
  page.code(command);
  for (const ResolutionBin& bin : comparison.bins) {
    if (std::all_of(bin.folders.begin(), bin.folders.end(), [](const FolderBin& f) { return f.pairs == 0; })) continue;
    page.heading(bin.title());
    page.table(pair_table(comparison, bin));
  }
  page.heading("FSC to the truth");
  page.figures(pair_plots(comparison, kFsc),
               "Lines: input against truth. Dots: what the half-map FSC promises, its square root, which a half-map "
               "whose errors "
               "are its own would have.");
  page.heading("Power of the input over the truth's");
  page.figures(pair_plots(comparison, kPower),
               "Logarithm to base 10; dots: the reference's spread between structures.");
  page.heading("Factor of the truth in the input");
  page.figures(pair_plots(comparison, kAmplitude),
               "Least squares in every shell: below 1 the truth is damped. Dots: the reference's spread.");
  page.paragraph(
      "Error: the input less the truth scaled by least squares in every shell, in units of the RMS of the truth, "
      "scaled "
      "so, inside the structure. Solvent: more than 5 A away from the structure within the sphere of RELION's particle "
      "mask; beyond: the rest of the box. Curves hold shells below the cut of half of the structures at least.");
  return page.html();
}

std::string pair_json(const PairComparison& comparison) {
  nlohmann::ordered_json out = {{"box", comparison.box},
                                {"voxel", comparison.voxel},
                                {"reference", comparison.names[0]},
                                {"bins", nlohmann::ordered_json::array()}};
  for (const ResolutionBin& bin : comparison.bins) {
    nlohmann::ordered_json one = {
        {"worse_bound", bin.worse}, {"better_bound", bin.better}, {"folders", nlohmann::ordered_json::array()}};
    for (std::size_t f = 0; f < bin.folders.size(); ++f) {
      const FolderBin& folder = bin.folders[f];
      nlohmann::ordered_json entry = {{"name", comparison.names[f]},
                                      {"pairs", folder.pairs},
                                      {"structures", folder.structures},
                                      {"figures", nlohmann::ordered_json::object()},
                                      {"curves", nlohmann::ordered_json::object()}};
      for (std::size_t k = 0; k < folder.figures.size(); ++k) {
        nlohmann::ordered_json figure = spread_json(folder.figures[k]);
        figure["away_in_spreads"] = folder.away[k];
        entry["figures"][pair_figure_kinds()[k].key] = std::move(figure);
      }
      for (std::size_t k = 0; k < folder.curves.size(); ++k) {
        nlohmann::ordered_json curve = {{"mean", nlohmann::ordered_json::array()},
                                        {"spread", nlohmann::ordered_json::array()},
                                        {"structures", nlohmann::ordered_json::array()}};
        for (const Spread& s : folder.curves[k]) {
          curve["mean"].push_back(s.mean);
          curve["spread"].push_back(s.spread);
          curve["structures"].push_back(s.structures);
        }
        entry["curves"][pair_curve_kinds()[k].key] = std::move(curve);
      }
      one["folders"].push_back(std::move(entry));
    }
    out["bins"].push_back(std::move(one));
  }
  for (std::size_t f = 0; f < comparison.names.size(); ++f)
    out["without_half_map_fsc"][comparison.names[f]] = comparison.unstated[f];
  return json_text(out, 1) + "\n";
}

}  // namespace cryored
