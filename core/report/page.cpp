#include "core/report/page.hpp"

#include <fmt/format.h>

#include "core/base/error.hpp"
#include "core/report/plot.hpp"

namespace cryored {
namespace {

constexpr const char* kStyleSheet = R"(
:root{color-scheme:light dark;--ink:#1f2428;--soft:#5c666f;--rule:#d5dade;--paper:#fff;--tint:#f5f7f8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a3adb6;--rule:#3a4248;--paper:#16191c;--tint:#1f2428}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 6px}
h2{font-size:19px;margin:40px 0 8px;padding-top:14px;border-top:1px solid var(--rule)}
p{max-width:74ch;margin:8px 0 12px}
.lead,.note,figcaption,caption{color:var(--soft)}
.note,figcaption,caption{font-size:14px;line-height:1.45}
.scroll{overflow-x:auto;width:max-content;min-width:100%;max-width:max(100%,min(50vw + 500px,100vw - 40px))}
.wide{position:relative;left:50%;transform:translateX(-50%);max-width:max(100%,calc(100vw - 40px))}
.wide th,.wide td{padding-right:8px}
.scroll thead th.n{max-width:8em}
.scroll td:first-child,.scroll td.n{white-space:nowrap}
table{border-collapse:collapse;font-size:15px;margin:10px 0;font-variant-numeric:tabular-nums}
caption{caption-side:bottom;text-align:left;padding-top:6px}
th,td{padding:5px 14px 5px 0;text-align:left;border-bottom:1px solid var(--rule);vertical-align:baseline}
thead th{font-weight:600;border-bottom:2px solid var(--rule)}
.n{text-align:right;padding-left:14px}
figure{margin:14px 0}
figure svg{max-width:100%;height:auto}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:18px}
.plots svg{width:100%;height:auto;display:block}
.slices td,.slices th{border:0;padding:4px 8px 4px 0;vertical-align:middle}
.slices thead th{font-weight:400;color:var(--soft);text-align:center}
.slices img{display:block;width:192px;max-width:26vw;height:auto;background:#000}
pre{background:var(--tint);padding:10px 14px;overflow-x:auto;font:13px/1.45 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
@media print{body{font-size:12px}h2{break-after:avoid}figure,table{break-inside:avoid}}
)";

std::string figure_with(const std::string& content, const std::string& caption) {
  std::string out = "<figure>" + content;
  if (!caption.empty()) out += "<figcaption>" + escape_markup(caption) + "</figcaption>";
  return out + "</figure>\n";
}

}  // namespace

ReportPage::ReportPage(std::string title, std::string lead) : title_(std::move(title)), lead_(std::move(lead)) {}

void ReportPage::heading(const std::string& text) { body_ += "<h2>" + escape_markup(text) + "</h2>\n"; }

void ReportPage::paragraph(const std::string& text) { body_ += "<p>" + escape_markup(text) + "</p>\n"; }

void ReportPage::code(const std::string& text) { body_ += "<pre>" + escape_markup(text) + "</pre>\n"; }

void ReportPage::table(const ReportTable& table) {
  const auto numeric = [&table](std::size_t c) {
    return table.numeric.empty() ? c > 0 : c < table.numeric.size() && table.numeric[c];
  };
  // Tables may be wider than text is readable; those of many columns take the whole window.
  std::string out = table.columns.size() > 12 ? "<div class=\"scroll wide\"><table>" : "<div class=\"scroll\"><table>";
  if (!table.caption.empty()) out += "<caption>" + escape_markup(table.caption) + "</caption>";
  out += "<thead><tr>";
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    out += fmt::format("<th{}>{}</th>", numeric(c) ? " class=\"n\"" : "", escape_markup(table.columns[c]));
  out += "</tr></thead>\n<tbody>";
  for (const std::vector<std::string>& row : table.rows) {
    if (row.size() != table.columns.size())
      throw UsageError({"report table \"" + table.caption + "\"", "row", fmt::format("{} cells", row.size()),
                        fmt::format("{}, one per column", table.columns.size()), ""});
    out += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c)
      out += fmt::format("<td{}>{}</td>", numeric(c) ? " class=\"n\"" : "", escape_markup(row[c]));
    out += "</tr>\n";
  }
  body_ += out + "</tbody></table></div>\n";
}

void ReportPage::figure(const std::string& svg, const std::string& caption) { figures({svg}, caption); }

void ReportPage::figures(const std::vector<std::string>& svgs, const std::string& caption) {
  std::string content = "<div class=\"plots\">";
  for (const std::string& svg : svgs) content += "<div>" + svg + "</div>";
  body_ += figure_with(content + "</div>", caption);
}

void ReportPage::figure_grid(const std::vector<std::string>& svgs, int columns, const std::string& legend,
                             const std::string& caption) {
  if (columns < 1) throw UsageError({"report", "columns of figures", std::to_string(columns), "1 or more", ""});
  std::string content =
      legend +
      fmt::format("<div class=\"plots\" style=\"grid-template-columns:repeat({},minmax(0,480px));gap:6px\">", columns);
  for (const std::string& svg : svgs) content += "<div>" + svg + "</div>";
  body_ += figure_with(content + "</div>", caption);
}

void ReportPage::image_grid(const ReportImageGrid& grid) {
  std::string out = "<div class=\"scroll\"><table class=\"slices\"><thead><tr><th></th>";
  for (const std::string& column : grid.columns) out += "<th>" + escape_markup(column) + "</th>";
  out += "</tr></thead>\n<tbody>";
  for (const ReportImageGrid::Row& row : grid.rows) {
    out += "<tr><th>" + escape_markup(row.heading);
    if (!row.note.empty()) out += "<div class=\"note\">" + escape_markup(row.note) + "</div>";
    out += "</th>";
    for (std::size_t i = 0; i < row.images.size(); ++i) {
      const std::string what = row.heading + (i < grid.columns.size() ? ", " + grid.columns[i] : std::string());
      if (row.images[i].pixels.empty()) {  // nothing there
        out += "<td></td>";
        continue;
      }
      out += fmt::format(
          "<td><img alt=\"{}\" style=\"width:{}px\" width=\"{}\" height=\"{}\" "
          "src=\"data:image/png;base64,{}\"></td>",
          escape_markup(what), grid.width, row.images[i].width, row.images[i].height,
          base64(encode_png(row.images[i])));
    }
    out += "</tr>\n";
  }
  body_ += figure_with(out + "</tbody></table></div>", grid.caption);
}

std::string ReportPage::html() const {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>" +
         escape_markup(title_) + "</title>\n<style>" + kStyleSheet + "</style>\n</head>\n<body><main>\n<h1>" +
         escape_markup(title_) + "</h1>\n" +
         (lead_.empty() ? std::string() : "<p class=\"lead\">" + escape_markup(lead_) + "</p>\n") + body_ +
         "</main></body>\n</html>\n";
}

}  // namespace cryored
