#pragma once
// Line plots as SVG text: for a page (inline) or as files of their own. Colours follow
// the reader's light or dark setting; lines differ by dash as well as by colour.

#include <optional>
#include <string>
#include <vector>

namespace cryored {

/// How a series is drawn: its style's own dash, or one that says more than the colour, or points only.
enum class PlotLine { own, solid, dotted, none };

struct PlotSeries {
  std::string name;          ///< for the legend; empty: not in it
  std::vector<double> x, y;  ///< equal lengths; points that are not finite break the line
  bool markers = false;      ///< a dot at each point
  int style = -1;            ///< colour and dash, 0 .. 5; -1 takes the series' own position
  PlotLine line = PlotLine::own;
};

/// Horizontal reference line.
struct PlotThreshold {
  double y = 0;
  std::string label;
};

struct PlotOptions {
  std::string title, x_label, y_label;
  /// x is spatial frequency in 1/A; ticks stand where 1/x is a round resolution and read in A.
  bool resolution_axis = false;
  bool whole_x = false;                              ///< x counts something: ticks at whole numbers only
  std::optional<double> x_min, x_max, y_min, y_max;  ///< else the data's, y with 5 % of room
  std::vector<PlotThreshold> thresholds;
  int width = 640, height = 360;  ///< of the drawing, in px; it scales with the page
};

/// Throws UsageError when a series' lengths differ or the size leaves no room to draw.
/// Series without any finite point appear in the legend as "(no data)".
std::string line_plot_svg(const std::vector<PlotSeries>& series, const PlotOptions& options);

/// The legend of `series` alone, in lines of `width` px, for several plots that share it.
std::string plot_legend_svg(const std::vector<PlotSeries>& series, int width);

/// Round tick positions in [low, high], at most `most` (>= 2) of them; steps 1, 2, 2.5, 5 x 10^n.
std::vector<double> round_ticks(double low, double high, int most);

/// `text` with & < > " replaced, for XML and HTML.
std::string escape_markup(const std::string& text);

}  // namespace cryored
