#include "evaluation/phase_relion_page.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/json_text.hpp"
#include "core/formats/mrc.hpp"
#include "core/report/plot.hpp"
#include "evaluation/refine_page.hpp"

namespace cryored {

using Json = nlohmann::ordered_json;

ReportTable phase_relion_table(const std::vector<PhaseRelionResult>& results, const RawMapScore& known) {
  ReportTable t;
  t.columns = {"images",
               "classes: FRC 0.5 (A)",
               "classes: area",
               "spread in a class (deg)",
               "angular error, median (deg)",
               "under 10 deg (%)",
               "raw map: FSC 0.5 to truth (A)",
               "in mask (A)",
               "its half-maps, FSC 0.143 (A)",
               "RELION's half-maps, FSC 0.143 (A)",
               "iterations",
               "minutes"};
  for (const PhaseRelionResult& r : results) {
    if (!r.refined) continue;
    t.rows.push_back({r.title, format_number(r.classes.resolution, 1), format_number(r.classes.area, 3),
                      format_number(r.classes.spread, 0), format_number(r.refined->angle_median, 1),
                      format_number(100 * r.refined->angle_share_within_10, 0),
                      format_number(r.raw_map.map.resolution, 1), format_number(r.raw_map.map.resolution_masked, 1),
                      format_number(r.raw_map.half_map_resolution, 1),
                      format_number(r.refined->final_half_map_resolution, 1),
                      std::to_string(r.refined->iterations.back().iteration), format_number(r.seconds / 60, 1)});
  }
  if (!known.map.fsc.empty())
    t.rows.push_back({"known poses", "-", "-", "-", "0", "100", format_number(known.map.resolution, 1),
                      format_number(known.map.resolution_masked, 1), format_number(known.half_map_resolution, 1), "-",
                      "-", "-"});
  return t;
}

std::string phase_relion_json(const std::vector<PhaseRelionResult>& results) {
  Json json = Json::array();
  for (const PhaseRelionResult& r : results) {
    Json classes = Json::array();
    for (const Class2dScore::Class& c : r.classes.classes)
      classes.push_back({{"particles", c.particles},
                         {"frc_0.5_A", std::isfinite(c.resolution) ? Json(c.resolution) : Json()},
                         {"area", c.area}});
    json.push_back({{"images", r.stack.name},
                    {"method", r.method},
                    {"weights_file_sha256", r.weights_sha256},
                    {"relion_options", r.stack.options},
                    {"classes", classes},
                    {"spread_in_class_deg", r.classes.spread},
                    {"refinement", r.refined ? Json::parse(score_json(*r.refined)) : Json()},
                    {"end", r.end},
                    {"seconds", r.seconds},
                    {"raw_map", Json::parse(score_json(r.raw_map.map))},
                    {"raw_half_maps_0.143_A", r.raw_map.half_map_resolution}});
  }
  return json_text(json);
}

void add_phase_relion_sections(ReportPage& page, const std::vector<PhaseRelionResult>& results,
                               const RawMapScore& known, std::size_t box, double pixel_size) {
  page.table(phase_relion_table(results, known));
  page.paragraph(
      "Classes: FRC of each average with the mean of the true projections in RELION's poses, and the angle between a "
      "particle's true orientation, turned by RELION's psi, and the middle one of its class; medians over particles. "
      "Angular error after one global fit.");
  PlotOptions plot;
  plot.title = "Raw images in the poses found, against the truth";
  plot.x_label = "resolution (A)";
  plot.resolution_axis = true;
  plot.x_max = 0.5 / pixel_size;
  plot.y_min = -0.05;
  plot.y_max = 1.02;
  plot.y_label = "FSC";
  plot.thresholds = {{0.5, "0.5"}};
  std::vector<PlotSeries> lines;
  const auto add = [&](const std::string& title, const std::vector<double>& fsc) {
    PlotSeries line{title, {}, {}, false, -1};
    for (std::size_t s = 1; s < fsc.size(); ++s) {
      line.x.push_back(static_cast<double>(s) / (static_cast<double>(box) * pixel_size));
      line.y.push_back(fsc[s]);
    }
    lines.push_back(std::move(line));
  };
  ReportImageGrid grid;
  grid.columns = {"1", "2", "3", "4", "5", "6"};
  for (const PhaseRelionResult& r : results) {
    add(r.title, r.raw_map.map.fsc);
    const Map averages = read_mrc(r.averages);
    ReportImageGrid::Row row{r.title, "", {}};
    const GreyWindow window = percentile_window({&averages}, 1, 99.7);
    for (std::size_t k = 0; k < grid.columns.size(); ++k)
      row.images.push_back(slice_image(averages, SliceAxis::z, k % averages.nz, window, 1));
    grid.rows.push_back(std::move(row));
  }
  if (!known.map.fsc.empty()) add("known poses", known.map.fsc);
  page.heading("Maps");
  page.figure(line_plot_svg(lines, plot));
  page.heading("Class averages");
  grid.caption = "The first classes of each stack; one grey scale for a stack.";
  page.image_grid(grid);
}

}  // namespace cryored
