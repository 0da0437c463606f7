#pragma once
// A report as one HTML file: everything inline (SVG, PNG as data), no script, no network.

#include <string>
#include <vector>

#include "core/report/image.hpp"

namespace cryored {

/// Plain text in every cell; columns whose entry in `numeric` is true are right-aligned
/// with figures of equal width.
struct ReportTable {
  std::string caption;
  std::vector<std::string> columns;
  std::vector<bool> numeric;  ///< empty: all but the first column
  std::vector<std::vector<std::string>> rows;
};

/// Pictures in rows with a heading each and a heading per column.
struct ReportImageGrid {
  std::string caption;
  std::vector<std::string> columns;
  struct Row {
    std::string heading, note;  ///< note: small print under the heading, may be empty
    std::vector<GreyImage> images;
  };
  std::vector<Row> rows;
  int width = 192;  ///< of a picture on the page, px
};

/// Collects sections in the order of the calls. All texts are plain text and escaped here.
class ReportPage {
 public:
  explicit ReportPage(std::string title, std::string lead = {});

  void heading(const std::string& text);
  void paragraph(const std::string& text);
  /// Preformatted text (a command, a log excerpt).
  void code(const std::string& text);
  /// Throws UsageError when a row's length differs from the number of columns.
  void table(const ReportTable& table);
  /// `svg` is inserted as it is (from line_plot_svg).
  void figure(const std::string& svg, const std::string& caption = {});
  /// Several plots side by side where the window is wide enough.
  void figures(const std::vector<std::string>& svgs, const std::string& caption = {});
  /// Small plots in rows of `columns`, whatever the window; `legend` (plot_legend_svg) stands above them. Empty ones
  /// leave a gap.
  void figure_grid(const std::vector<std::string>& svgs, int columns, const std::string& legend = {},
                   const std::string& caption = {});
  void image_grid(const ReportImageGrid& grid);

  /// The whole document.
  std::string html() const;

 private:
  std::string title_, lead_, body_;
};

}  // namespace cryored
