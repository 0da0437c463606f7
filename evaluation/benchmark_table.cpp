#include "evaluation/benchmark_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "evaluation/benchmark.hpp"
#include "evaluation/refine_page.hpp"

namespace cryored {
namespace {

std::string signed_number(double v) { return std::isfinite(v) ? fmt::format("{:+.1f}", v) : "-"; }

std::string in_mask(const std::optional<MapScore>& map) { return in_mask(map ? &*map : nullptr); }

}  // namespace

ReportTable overview_table(const BenchmarkSummary& summary) {
  ReportTable table;
  table.columns = {"data set"};
  table.columns.insert(table.columns.end(), summary.columns.begin(), summary.columns.end());
  for (const DataSetRecords& d : summary.data_sets) {
    std::vector<std::string> row = {d.title};
    for (const std::string& label : summary.columns) {
      const auto found = d.by_label.find(label);
      if (found == d.by_label.end()) {
        row.push_back("");
        continue;
      }
      const CellRecord& r = *found->second;
      std::string text = in_mask(judged(r));
      if (const auto v = resolution_verdict(summary, d, r)) text += " " + describe(*v);
      if (r.end == "hopeless" || r.end == "time limit") text += " (" + r.end + ")";
      row.push_back(text);
    }
    table.rows.push_back(std::move(row));
  }
  const Spreads& s = summary.spreads;
  table.caption =
      "FSC 0.5 to the truth inside the mask of the truth, A. " +
      (s.shells ? fmt::format("better and worse: further from plain than twice the spread over seeds, {:.2f} "
                              "shells ({} families of data sets).",
                              *s.shells, s.families)
                : std::string("No verdicts yet: no two seeds of a data set are finished."));
  return table;
}

ReportTable detail_table(const BenchmarkSummary& summary) {
  ReportTable table;
  table.columns = {"data set",
                   "refinement",
                   "to truth (A)",
                   "in mask (A)",
                   "raw map, in mask (A)",
                   "denoised, in mask (A)",
                   "angles found, in mask (A)",
                   "half-maps (A)",
                   "inflation (shells)",
                   "beyond plain",
                   "median (deg)",
                   "90 % (deg)",
                   "under 10 deg (%)",
                   "lambda",
                   "iterations",
                   "ended by",
                   "minutes"};
  table.numeric = {false, false, true, true, true, true, true,  true, true,
                   true,  true,  true, true, true, true, false, true};
  for (const DataSetRecords& d : summary.data_sets)
    for (const std::string& label : summary.columns) {
      const auto found = d.by_label.find(label);
      if (found == d.by_label.end()) continue;
      const CellRecord& r = *found->second;
      const RefinementScore& s = r.score;
      double lambda = 0;
      bool any = false;
      for (const IterationScore& it : s.iterations)
        for (const ReconstructionNote& note : it.notes)
          if (note.lambda) lambda = std::max(lambda, *note.lambda), any = true;
      const bool derived = r.mode == "plain+denoise";
      table.rows.push_back({d.title, label, judged(r) ? format_number(judged(r)->resolution, 1) : "-",
                            in_mask(judged(r)), in_mask(s.raw), in_mask(regularised(r)), in_mask(s.angles_found),
                            format_number(s.final_half_map_resolution, 1), derived ? "-" : signed_number(inflation(r)),
                            d.plain && mode_parts(r.mode).refines && r.mode != "plain"
                                ? signed_number(inflation(r) - inflation(*d.plain))
                                : "-",
                            format_number(s.angle_median, 1), format_number(s.angle_percentile90, 1),
                            format_number(100 * s.angle_share_within_10, 0), any ? format_number(lambda, 2) : "-",
                            s.iterations.empty() ? "-" : std::to_string(s.iterations.back().iteration), r.end,
                            format_number(r.seconds / 60, 1)});
    }
  table.caption =
      "To truth: FSC 0.5 of the final map (of a refinement with a denoiser that did not converge: of its joined map "
      "without a prior), without a mask (before RELION's division by sinc^2, which its half-map FSC "
      "does not see either); half-maps: RELION's half-map FSC at 0.143; inflation: shells by which that lies beyond "
      "that, both without a mask; denoised: the map that the denoiser's last pass "
      "makes, which of a converged refinement is not the final one; lambda: the largest of all iterations.";
  return table;
}

ReportTable goal_table(const BenchmarkSummary& summary) {
  ReportTable table;
  table.columns = {"refinement",
                   "data sets",
                   "counting",
                   "better",
                   "same",
                   "worse",
                   "mean gain (%)",
                   "least gain (%)",
                   "mean gain, denoised (%)",
                   "larger angular error",
                   "mean inflation (shells)",
                   "plain's",
                   "most beyond plain",
                   "where"};
  table.numeric = {false, true, true, true, true, true, true, true, true, true, true, true, true, false};
  for (const ModeSummary& m : summary.modes) {
    const bool judged = summary.spreads.shells.has_value();
    const auto judgement = [&](int n) { return judged ? std::to_string(n) : std::string("-"); };
    table.rows.push_back({m.label, std::to_string(m.data_sets), std::to_string(m.counting), judgement(m.better),
                          judgement(m.same), judgement(m.worse),
                          m.counting > 0 ? signed_number(100 * m.mean_gain) : "-",
                          m.counting > 0 ? signed_number(100 * m.least_gain) : "-",
                          m.regularised > 0 ? signed_number(100 * m.regularised_gain) : "-",
                          std::to_string(m.angles_worse) +
                              (m.angles_compared < m.counting ? fmt::format(" (of {})", m.angles_compared) : ""),
                          signed_number(m.mean_inflation), signed_number(m.plain_inflation),
                          signed_number(m.most_inflation_beyond_plain), m.where});
  }
  table.caption = fmt::format(
      "Against plain RELION. Counting: plain is neither within one shell of Nyquist nor worse than {:g} A. Gain: "
      "plain's resolution in the mask over this one's, minus 1; denoised: over that of this one's map after the "
      "denoiser's last pass. Larger angular error: of the counting data sets, by the median, beyond twice its spread "
      "over seeds where that is known. Inflation: all data sets that both refined.",
      summary.hopeless);
  return table;
}

std::string markdown_table(const ReportTable& table) {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string out = "|";
    for (const std::string& cell : cells) out += " " + cell + " |";
    return out + "\n";
  };
  std::string out = line(table.columns) + "|";
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    out += (table.numeric.empty() ? c > 0 : static_cast<bool>(table.numeric[c])) ? "---:|" : "---|";
  out += "\n";
  for (const auto& row : table.rows) out += line(row);
  return out + (table.caption.empty() ? "" : "\n" + table.caption + "\n");
}

}  // namespace cryored
