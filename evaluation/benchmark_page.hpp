#pragma once
// The page of the benchmark: the figures of Kimanius et al. (IUCrJ 8 (2021) 60) drawn from our records.

#include <string>

#include "evaluation/benchmark_summary.hpp"

namespace cryored {

/// One HTML document. `results` is the folder of the records, whose final maps and truths are shown; a map that is
/// missing leaves its place empty.
std::string benchmark_page(const BenchmarkSummary& summary, const std::string& results);

/// The tables as Markdown, for the folder of the records.
std::string benchmark_markdown(const BenchmarkSummary& summary);

}  // namespace cryored
