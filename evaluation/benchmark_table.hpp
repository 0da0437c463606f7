#pragma once
// The tables of the benchmark.

#include <string>

#include "core/report/page.hpp"
#include "evaluation/benchmark_summary.hpp"

namespace cryored {

/// Resolution in the mask of every data set in every mode, with the verdict against plain.
ReportTable overview_table(const BenchmarkSummary& summary);
/// All figures of every record.
ReportTable detail_table(const BenchmarkSummary& summary);
/// One row per mode: the goals.
ReportTable goal_table(const BenchmarkSummary& summary);

/// A table in Markdown.
std::string markdown_table(const ReportTable& table);

}  // namespace cryored
