// cryored fsc: Fourier shell correlation of two maps.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/map_input.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/output_path.hpp"
#include "core/formats/mrc_voxels.hpp"
#include "core/fourier/shells.hpp"
#include "core/report/plot.hpp"

namespace cryored {
namespace {

constexpr double thresholds[] = {0.5, 0.143};

void require_same_size(const Map& map, const std::string& path, const Map& first, const std::string& first_path) {
  if (map.nx == first.nx && map.nz == first.nz) return;
  throw InputError(Problem{path, "dimensions", dimensions_text(map), dimensions_text(first) + " as in " + first_path,
                           "compare maps of the same box"});
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

void require_same_pixel_size(const Settings& settings, const std::string& path, const MrcHeader& header, double size) {
  if (settings.has("pixel-size") || !(header.pixel_size > 0) || std::abs(size - header.pixel_size) <= 1e-3 * size)
    return;
  throw InputError(Problem{path, "header word cella (pixel size)", std::to_string(header.pixel_size),
                           std::to_string(size) + " as in " + settings.arguments[0],
                           "give --pixel-size when the maps do lie on the same grid"});
}

Map read_input(const std::string& path, MrcHeader& header) {
  Map map = read_finite_map(path, header, true);
  require_cubic_voxels(path);
  return map;
}

/// Transform of a map that has something in it: else every shell of the curve would be 0, as of maps without relation.
HalfTransform transform_of(const Map& map, const std::string& path, bool masked) {
  const auto [low, high] = std::minmax_element(map.data.begin(), map.data.end());
  if (*low == *high)
    throw InputError(Problem{
        path, "densities", "the value " + short_number(*low) + " everywhere" + (masked ? " within the mask" : ""),
        "a map with structure",
        masked ? "check that the mask covers the particle" : "check the name; if it is the right one, make it again"});
  HalfTransform transform = forward(map);
  for (const std::complex<float> value : transform.data)
    if (!std::isfinite(value.real()) || !std::isfinite(value.imag()))
      throw InputError(
          Problem{path, "densities",
                  "values from " + short_number(*low) + " to " + short_number(*high) + ", whose sums overflow",
                  "values whose Fourier transform is finite in 32-bit floats",
                  "divide the map by a constant, which changes no FSC, or make it again"});
  return transform;
}

struct Crossing {
  double threshold, shell, resolution;
  bool reached;  ///< false: the curve stays above the threshold up to Nyquist
};

Crossing find_crossing(const std::vector<double>& curve, double threshold, std::size_t box, double pixel_size) {
  bool below = false;
  for (std::size_t s = 1; s < curve.size(); ++s) below = below || curve[s] < threshold;
  const double shell = crossing_shell(curve, threshold);
  return {threshold, shell, shell_resolution(shell, box, pixel_size), below};
}

std::string plot(const std::vector<double>& curve, std::size_t box, double pixel_size, const Settings& settings) {
  PlotSeries series;
  series.name = settings.has("mask") ? "FSC within the mask" : "FSC";
  for (std::size_t s = 1; s < curve.size(); ++s) {
    series.x.push_back(static_cast<double>(s) / (static_cast<double>(box) * pixel_size));
    series.y.push_back(curve[s]);
  }
  PlotOptions options;
  options.title = "Fourier shell correlation";
  options.x_label = "resolution (A)";
  options.y_label = "FSC";
  options.resolution_axis = true;
  options.thresholds = {{0.5, "0.5"}, {0.143, "0.143"}};
  return line_plot_svg({series}, options);
}

int run(const Settings& settings) {
  std::vector<std::string> inputs = settings.arguments;
  if (settings.has("mask")) inputs.push_back(settings.text("mask"));
  refuse_input_as_output(inputs, settings.text("plot"));
  MrcHeader header_a, header_b, header_mask;
  Map a = read_input(settings.arguments[0], header_a);
  Map b = read_input(settings.arguments[1], header_b);
  require_same_size(b, settings.arguments[1], a, settings.arguments[0]);
  const double pixel_size = input_pixel_size(settings, header_a, settings.arguments[0]);
  require_same_pixel_size(settings, settings.arguments[1], header_b, pixel_size);
  if (settings.has("mask")) {
    const Map mask = read_input(settings.text("mask"), header_mask);
    require_same_size(mask, settings.text("mask"), a, settings.arguments[0]);
    require_same_pixel_size(settings, settings.text("mask"), header_mask, pixel_size);
    for (std::size_t i = 0; i < a.size(); ++i) {
      a.data[i] *= mask.data[i];
      b.data[i] *= mask.data[i];
    }
  }
  const std::size_t box = a.nx;
  const bool masked = settings.has("mask");
  const std::vector<double> curve =
      fsc(transform_of(a, settings.arguments[0], masked), transform_of(b, settings.arguments[1], masked));
  if (settings.has("plot")) write_text_atomically(settings.text("plot"), plot(curve, box, pixel_size, settings));

  std::vector<Crossing> crossings;
  for (const double threshold : thresholds) crossings.push_back(find_crossing(curve, threshold, box, pixel_size));
  if (settings.flag("json")) {
    nlohmann::ordered_json out{{"box", box}, {"pixel_size_A", pixel_size}, {"masked", settings.has("mask")}};
    for (const auto& c : crossings)
      out["crossings"].push_back(
          {{"threshold", c.threshold}, {"shell", c.shell}, {"resolution_A", c.resolution}, {"reached", c.reached}});
    out["fsc"] = curve;
    std::cout << json_text(out, 2) << "\n";
    return 0;
  }
  std::ostringstream text;
  text << "# shell  resolution_A  FSC\n" << std::fixed;
  for (std::size_t s = 0; s < curve.size(); ++s) {
    text.width(7);
    text << s;
    text.width(14);
    text.precision(3);
    if (s == 0)
      text << "inf";
    else
      text << shell_resolution(static_cast<double>(s), box, pixel_size);
    text.width(11);
    text.precision(5);
    text << curve[s] << "\n";
  }
  for (const auto& c : crossings) {
    text.precision(3);
    text << "# FSC " << c.threshold << ": ";
    text.precision(2);
    text << (c.reached ? "" : "not crossed up to Nyquist, ") << c.resolution << " A\n";
  }
  std::cout << text.str();
  return 0;
}

}  // namespace

Command fsc_command() {
  OptionSpec mask{"mask", OptionKind::path, "M.mrc", "", "real-space mask, multiplied with both maps first"};
  OptionSpec picture{"plot", OptionKind::path, "FILE.svg", "", "write the curve as an SVG picture"};
  mask.persistent = picture.persistent = false;
  CommandSpec spec;
  spec.program = "cryored fsc";
  spec.arguments = "A.mrc B.mrc";
  spec.summary = "Fourier shell correlation of two maps";
  spec.details =
      "Prints the curve, shell by shell, and the resolution at its first crossing of 0.5 and 0.143. Shell s holds the "
      "Fourier coefficients whose distance from the origin rounds to s; its resolution is box x pixel size / s.";
  spec.minimum_arguments = spec.maximum_arguments = 2;
  spec.options = {mask, picture, pixel_size_option("the one in the header of the first map"),
                  json_option("print JSON")};
  return {"fsc", spec, run};
}

}  // namespace cryored
