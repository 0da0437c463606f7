#include "core/report/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"

namespace cryored {
namespace {

constexpr int kStyles = 6;

// Colours after Okabe and Ito, told apart with any colour vision; lighter ones on dark paper.
// Every rule is bound to the class of the drawing, so that it leaves the page around it alone.
constexpr const char* kStyleSheet = R"(<style>
.cr-plot{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;--cr-ink:#1f2428;--cr-soft:#5c666f;--cr-grid:#e3e7ea;
--cr-0:#0067a5;--cr-1:#c8500a;--cr-2:#00805c;--cr-3:#9b4f96;--cr-4:#8a6d00;--cr-5:#50575e}
@media(prefers-color-scheme:dark){.cr-plot{--cr-ink:#e6e9ec;--cr-soft:#a3adb6;--cr-grid:#343b41;
--cr-0:#5db7f0;--cr-1:#ff9152;--cr-2:#3fd0a0;--cr-3:#e09ad9;--cr-4:#e3c13c;--cr-5:#b4bcc4}}
.cr-plot text{fill:var(--cr-ink)}.cr-plot .soft{fill:var(--cr-soft)}.cr-plot .title{font-weight:600;font-size:13px}
.cr-plot .grid{stroke:var(--cr-grid)}.cr-plot .axis{stroke:var(--cr-soft)}
.cr-plot .threshold{stroke:var(--cr-soft);stroke-dasharray:2 3}
.cr-plot path{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.cr-plot .s0{stroke:var(--cr-0)}.cr-plot .s1{stroke:var(--cr-1);stroke-dasharray:7 4}.cr-plot .s2{stroke:var(--cr-2);stroke-dasharray:2 4}
.cr-plot .s3{stroke:var(--cr-3);stroke-dasharray:9 3 2 3}.cr-plot .s4{stroke:var(--cr-4);stroke-dasharray:4 3}.cr-plot .s5{stroke:var(--cr-5);stroke-dasharray:12 4}
.cr-plot circle{stroke:none}
.cr-plot .d0{fill:var(--cr-0)}.cr-plot .d1{fill:var(--cr-1)}.cr-plot .d2{fill:var(--cr-2)}.cr-plot .d3{fill:var(--cr-3)}.cr-plot .d4{fill:var(--cr-4)}.cr-plot .d5{fill:var(--cr-5)}
</style>
)";

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double v) {
    if (!std::isfinite(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  /// An empty range, or one of values that are equal but for rounding, is widened so that there is something to draw
  /// on.
  void open() {
    if (!(low <= high)) low = 0, high = 1;
    const double size = std::max(std::abs(low), std::abs(high));
    if (high - low <= 1e-9 * size) {
      const double margin = size == 0 ? 1 : size * 0.1;
      low -= margin;
      high += margin;
    }
  }
};

struct Tick {
  double at;
  std::string label;
};

std::vector<Tick> value_ticks(const Range& range, int most) {
  std::vector<Tick> ticks;
  for (const double v : round_ticks(range.low, range.high, most)) ticks.push_back({v, fmt::format("{:.6g}", v)});
  return ticks;
}

/// Resolutions in A that a reader expects on an axis, thinned to those `spacing` apart.
std::vector<Tick> resolution_ticks(const Range& range, double spacing) {
  static constexpr double usual[] = {100, 50,  30,  20,  15,  12, 10,  9,   8,   7,   6,   5.5, 5,   4.5, 4,   3.5, 3.2,
                                     3,   2.8, 2.6, 2.4, 2.2, 2,  1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1, 1};
  std::vector<Tick> ticks;
  for (const double r : usual) {
    const double at = 1 / r;
    if (at < range.low || at > range.high * (1 + 1e-9)) continue;
    if (!ticks.empty() && at - ticks.back().at < spacing) continue;
    ticks.push_back({at, fmt::format("{:g}", r)});
  }
  return ticks;
}

double text_width(const std::string& text, double size) { return 0.56 * size * static_cast<double>(text.size()); }

/// Place of each series in the legend: left edge and row.
struct Legend {
  std::vector<std::pair<double, int>> at;
  int rows = 0;
};

Legend legend_of(const std::vector<PlotSeries>& series, double left, double right) {
  Legend legend;
  double cursor = left;
  int row = 0;
  for (const PlotSeries& s : series) {
    const double wide = s.name.empty() ? 0 : 34 + text_width(s.name, 12) + 16;
    if (cursor > left && cursor + wide > right) cursor = left, ++row;
    legend.at.emplace_back(cursor, row);
    cursor += wide;
    if (!s.name.empty()) legend.rows = row + 1;
  }
  return legend;
}

std::string line_attributes(const PlotSeries& s, int style) {
  const char* dash = s.line == PlotLine::solid    ? " style=\"stroke-dasharray:none\""
                     : s.line == PlotLine::dotted ? " style=\"stroke-dasharray:1 4\""
                                                  : "";
  return fmt::format(" class=\"s{}\"{}", style, dash);
}

std::string legend_entry(const PlotSeries& s, int style, std::pair<double, int> at, double top, bool any) {
  const double x = at.first, y = top + 18.0 * at.second + 8;
  const std::string mark =
      s.line == PlotLine::none
          ? fmt::format("<circle class=\"d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>", style, x + 13, y)
          : fmt::format("<path{} d=\"M{:.1f} {:.1f}h26\"/>", line_attributes(s, style), x, y);
  return mark + fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}{}</text>\n", x + 32, y + 4, escape_markup(s.name),
                            any ? "" : " (no data)");
}

int style_of(const PlotSeries& s, std::size_t position) {
  return (s.style >= 0 ? s.style : static_cast<int>(position)) % kStyles;
}

}  // namespace

std::string escape_markup(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<double> round_ticks(double low, double high, int most) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(low) || !std::isfinite(high)) return ticks;
  most = std::max(most, 2);
  double power = std::pow(10.0, std::floor(std::log10((high - low) / most)));
  for (;; power *= 10) {
    for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
      const double step = factor * power;
      const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
      if (last - first + 1 > most) continue;
      // Counted, since beyond 2^53 first + 1 is first.
      for (int i = 0; i <= static_cast<int>(last - first); ++i) ticks.push_back((first + i) * step + 0.0);
      return ticks;
    }
  }
}

std::string line_plot_svg(const std::vector<PlotSeries>& series, const PlotOptions& options) {
  Range x, y;
  for (const PlotSeries& s : series) {
    if (s.x.size() != s.y.size())
      throw UsageError({"plot \"" + options.title + "\"", "series " + s.name,
                        fmt::format("{} x and {} y values", s.x.size(), s.y.size()), "equal numbers", ""});
    for (std::size_t i = 0; i < s.x.size(); ++i)
      if (std::isfinite(s.x[i]) && std::isfinite(s.y[i])) x.take(s.x[i]), y.take(s.y[i]);
  }
  for (const PlotThreshold& t : options.thresholds) y.take(t.y);
  x.open();
  y.open();
  if (!options.y_min || !options.y_max) {
    const double margin = 0.05 * (y.high - y.low);
    y.low -= margin;
    y.high += margin;
  }
  x.low = options.x_min.value_or(options.resolution_axis ? 0 : x.low);
  x.high = options.x_max.value_or(x.high);
  y.low = options.y_min.value_or(y.low);
  y.high = options.y_max.value_or(y.high);
  x.open();
  y.open();

  const double left = 58, right = options.width - 14.0;
  // The legend stands above the frame, so it never hides a curve; it wraps where the line is full.
  const Legend legend = legend_of(series, left, right);
  const double legend_top = options.title.empty() ? 8 : 30;
  const double top = legend_top + (legend.rows == 0 ? 4 : 18.0 * legend.rows + 8), bottom = options.height - 46.0;
  if (right - left < 80 || bottom - top < 60)
    throw UsageError({"plot \"" + options.title + "\"", "size", fmt::format("{} x {}", options.width, options.height),
                      "at least 152 x 180 px, more with a long legend", ""});
  const auto px = [&](double v) { return left + (v - x.low) / (x.high - x.low) * (right - left); };
  const auto py = [&](double v) { return bottom - (v - y.low) / (y.high - y.low) * (bottom - top); };

  std::string svg = fmt::format(
      "<svg class=\"cr-plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\">\n",
      options.width, options.height, escape_markup(options.title.empty() ? options.y_label : options.title));
  svg += kStyleSheet;
  if (!options.title.empty())
    svg += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"18\">{}</text>\n", left, escape_markup(options.title));

  std::vector<Tick> x_ticks = options.resolution_axis ? resolution_ticks(x, 36 / (right - left) * (x.high - x.low))
                                                      : value_ticks(x, static_cast<int>((right - left) / 60));
  if (options.whole_x) std::erase_if(x_ticks, [](const Tick& t) { return t.at != std::round(t.at); });
  for (const Tick& t : value_ticks(y, static_cast<int>((bottom - top) / 36))) {
    svg += fmt::format("<line class=\"grid\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n", left, right,
                       py(t.at), py(t.at));
    svg +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 7, py(t.at) + 4, t.label);
  }
  for (const Tick& t : x_ticks) {
    svg += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\"/>\n", px(t.at),
                       bottom, bottom + 5);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", px(t.at), bottom + 18,
                       t.label);
  }
  svg += fmt::format("<line class=\"axis\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n", left, right,
                     bottom, bottom);
  for (const PlotThreshold& t : options.thresholds) {
    if (t.y < y.low || t.y > y.high) continue;
    svg += fmt::format("<line class=\"threshold\" x1=\"{:.1f}\" x2=\"{:.1f}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>\n", left,
                       right, py(t.y), py(t.y));
    svg += fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", right - 2,
                       py(t.y) - 4, escape_markup(t.label));
  }

  for (std::size_t k = 0; k < series.size(); ++k) {
    const PlotSeries& s = series[k];
    const int style = style_of(s, k);
    std::string path, dots;
    bool drawing = false, any = false;
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      const bool inside =
          std::isfinite(s.x[i]) && std::isfinite(s.y[i]) && s.x[i] >= x.low && s.x[i] <= x.high * (1 + 1e-9);
      if (!inside) {
        drawing = false;
        continue;
      }
      const double v = std::clamp(s.y[i], y.low, y.high);
      path += fmt::format("{}{:.1f} {:.1f}", drawing ? "L" : "M", px(s.x[i]), py(v));
      if (s.markers)
        dots += fmt::format("<circle class=\"d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>", style, px(s.x[i]), py(v));
      drawing = any = true;
    }
    if (any && s.line != PlotLine::none) svg += fmt::format("<path{} d=\"{}\"/>", line_attributes(s, style), path);
    if (any) svg += dots + "\n";
    if (!s.name.empty()) svg += legend_entry(s, style, legend.at[k], legend_top, any);
  }
  svg += fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                     (left + right) / 2, options.height - 8.0, escape_markup(options.x_label));
  svg += fmt::format(
      "<text class=\"soft\" x=\"16\" y=\"{0:.1f}\" text-anchor=\"middle\" transform=\"rotate(-90 16 "
      "{0:.1f})\">{1}</text>\n",
      (top + bottom) / 2, escape_markup(options.y_label));
  return svg + "</svg>\n";
}

std::string plot_legend_svg(const std::vector<PlotSeries>& series, int width) {
  const Legend legend = legend_of(series, 8, width - 8);
  std::string svg = fmt::format(
      "<svg class=\"cr-plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" "
      "role=\"img\" aria-label=\"legend\">\n",
      width, 18 * legend.rows + 4);
  svg += kStyleSheet;
  for (std::size_t k = 0; k < series.size(); ++k)
    if (!series[k].name.empty()) svg += legend_entry(series[k], style_of(series[k], k), legend.at[k], 0, true);
  return svg + "</svg>\n";
}

}  // namespace cryored
