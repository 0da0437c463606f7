// What the records say together, on curves whose figures are known.
#include "evaluation/benchmark_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/temporary_folder.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/benchmark_page.hpp"

namespace cryored {
namespace {

/// 1 up to shell `at` - 0.5, then falling by 1 per shell: it crosses a threshold t at shell at + 0.5 - t.
std::vector<double> falling(double at) {
  std::vector<double> curve(25);
  for (std::size_t s = 0; s < curve.size(); ++s) curve[s] = std::clamp(at + 0.5 - static_cast<double>(s), -0.9, 1.0);
  return curve;
}

/// Box 48 of 2.5 A; the final map agrees with the truth up to shell `truth` (0.5), the half-maps with each other up to
/// shell `half` (0.143).
CellRecord record(const std::string& structure, double snr, const std::string& mode, double truth, double half,
                  double angle = 5, int seed = 1, const std::string& more = {}) {
  CellRecord r;
  r.structure = structure;
  r.mode = mode;
  r.group = "main";
  r.seed = static_cast<std::uint64_t>(seed);
  r.data_set = structure + "_" + std::to_string(snr) + more + (seed == 1 ? "" : "_seed" + std::to_string(seed));
  r.particles = R"({"box":48,"pixel_size_A":2.5,"count":2000,"snr":)" + std::to_string(snr) + R"(,"seed":)" +
                std::to_string(seed) + more + "}";
  r.end = "converged";
  RefinementScore& s = r.score;
  s.box = 48;
  s.pixel_size = 2.5;
  s.final_map.fsc = s.final_map.fsc_masked = falling(truth);
  s.final_half_fsc = falling(half - 0.357);
  s.final_map.resolution = s.final_map.resolution_masked = 120 / truth;
  s.final_half_map_resolution = 120 / half;
  s.angle_median = angle;
  s.angle_histogram = share_per_2_degrees({1, 5, 9});
  return r;
}

TEST(Inflation, IsTheDistanceOfTwoCrossings) {
  const CellRecord honest = record("A", 0.1, "plain", 12, 12), inflated = record("A", 0.1, "red", 12, 15.5);
  EXPECT_NEAR(truth_shell(honest, true), 12, 1e-9);
  EXPECT_NEAR(inflation(honest), 0, 1e-9);
  EXPECT_NEAR(inflation(inflated), 3.5, 1e-9);
}

TEST(Verdicts, BeginBeyondTwiceTheSpread) {
  EXPECT_FALSE(verdict(3, {}));
  EXPECT_EQ(verdict(1.01, 0.5), Verdict::better);
  EXPECT_EQ(verdict(1.0, 0.5), Verdict::same);
  EXPECT_EQ(verdict(-1.0, 0.5), Verdict::same);
  EXPECT_EQ(verdict(-1.01, 0.5), Verdict::worse);
}

TEST(Summary, SpreadIsPooledOverFamiliesAndRefinements) {
  std::vector<CellRecord> records;
  // Variances 1 (10, 11, 12; two degrees of freedom) and 2 (14, 16; one): (2 + 2) / 3.
  for (int seed = 1; seed <= 3; ++seed) records.push_back(record("A", 0.1, "plain", 9.0 + seed, 10, 5, seed));
  for (int seed = 1; seed <= 2; ++seed) records.push_back(record("A", 0.1, "red", 12.0 + 2 * seed, 15, 5, seed));
  records.push_back(record("B", 0.1, "plain", 20, 20));       // no second seed
  records.push_back(record("A", 0.1, "known-angles", 1, 1));  // no refinement
  const BenchmarkSummary s = summarise(records, 20);
  ASSERT_TRUE(s.spreads.shells);
  EXPECT_NEAR(*s.spreads.shells, std::sqrt(4.0 / 3), 1e-9);
  EXPECT_NEAR(*s.spreads.log_angle, 0, 1e-9);
  EXPECT_EQ(s.spreads.families, 1);
  EXPECT_FALSE(summarise({record("B", 0.1, "plain", 20, 20)}, 20).spreads.shells);
}

TEST(Summary, SpreadOfAnglesCountsThoseThatAreKnown) {
  std::vector<CellRecord> records;
  const double unknown = std::numeric_limits<double>::quiet_NaN();
  for (int seed = 1; seed <= 4; ++seed)
    records.push_back(record("A", 0.1, "plain", 10, 10, seed == 1 ? 4 : seed == 2 ? 5 : unknown, seed));
  const double between = std::log(5.0 / 4);
  EXPECT_NEAR(*summarise(records, 20).spreads.log_angle, between / std::sqrt(2.0), 1e-9);
  for (CellRecord& r : records) r.score.angle_median = unknown;
  EXPECT_FALSE(summarise(records, 20).spreads.log_angle) << "no spread of 0";
}

TEST(Summary, CountsWhatIsNeitherAtNyquistNorHopeless) {
  std::vector<CellRecord> records = {
      record("A", 0.2, "plain", 23.5, 23.5),  record("A", 0.2, "red", 24, 24),       // at Nyquist
      record("B", 0.1, "plain", 12, 12),      record("B", 0.1, "red", 15, 15.5, 4),  // gains 25 %
      record("C", 0.1, "plain", 10, 10),      record("C", 0.1, "red", 9, 11.5, 6),   // loses 10 %, larger error
      record("D", 0.05, "plain", 5.5, 6),     record("D", 0.05, "red", 5.5, 10),     // 21.8 A: hopeless
      record("B", 0.1, "plain", 12, 12, 5, 2)};                                      // a second seed, without spread
  const BenchmarkSummary s = summarise(records, 20);
  ASSERT_EQ(s.modes.size(), 1u);
  const ModeSummary& red = s.modes[0];
  EXPECT_EQ(red.label, "red");
  EXPECT_EQ(red.data_sets, 4);
  EXPECT_EQ(red.counting, 2);
  EXPECT_EQ(red.better, 1);
  EXPECT_EQ(red.worse, 1);
  EXPECT_EQ(red.same, 0);
  EXPECT_NEAR(red.mean_gain, (0.25 - 0.1) / 2, 1e-9);
  EXPECT_NEAR(red.least_gain, -0.1, 1e-9);
  EXPECT_EQ(red.angles_worse, 1);
  // Inflation counts everywhere: D has 4.5 shells, plain 0.5.
  EXPECT_NEAR(red.most_inflation_beyond_plain, 4, 1e-9);
  EXPECT_EQ(red.where.substr(0, 1), "D");
  EXPECT_NEAR(red.mean_inflation, (0 + 0.5 + 2.5 + 4.5) / 4, 1e-9);
  EXPECT_NEAR(red.plain_inflation, 0.5 / 4, 1e-9);
}

TEST(Summary, DenoisedMapsAreComparedWhereThereAreSome) {
  std::vector<CellRecord> records = {record("A", 0.1, "plain", 10, 10), record("A", 0.1, "red", 11, 11),
                                     record("B", 0.1, "plain", 10, 10), record("B", 0.1, "red", 12, 12),
                                     record("C", 0.1, "plain", 10, 10), record("C", 0.1, "red", 13, 13)};
  records[1].score.denoised = record("A", 0.1, "red", 14, 14).score.final_map;  // beside the converged joined map
  records[5].end = "iteration limit";                                           // its half-maps are the denoiser's
  records[5].score.raw = records[5].score.final_map;
  EXPECT_FALSE(regularised(records[0]));
  EXPECT_FALSE(regularised(records[3]));  // converged: RELION's map is the Gaussian one
  const ModeSummary red = summarise(records, 20).modes.at(0);
  EXPECT_EQ(red.regularised, 2);
  EXPECT_NEAR(red.regularised_gain, (0.4 + 0.3) / 2, 1e-9);
  EXPECT_NEAR(red.mean_gain, (0.1 + 0.2 + 0.3) / 3, 1e-9);
}

// A refinement that did not converge ends in the denoiser's own half-maps: their polish is no gain.
TEST(Summary, StoppedRefinementsAreJudgedByTheirRawMaps) {
  std::vector<CellRecord> records = {record("A", 0.1, "plain", 10, 10), record("A", 0.1, "red", 14, 13)};
  records[1].end = "iteration limit";
  records[1].score.raw = record("A", 0.1, "red", 11, 11).score.final_map;
  EXPECT_NEAR(truth_shell(records[1], true), 11, 1e-9);
  EXPECT_NEAR(inflation(records[1]), 2, 1e-9);
  const ModeSummary red = summarise(records, 20).modes.at(0);
  EXPECT_NEAR(red.mean_gain, 0.1, 1e-9);
  EXPECT_NEAR(red.regularised_gain, 0.4, 1e-9) << "the denoised map stands apart";
  EXPECT_NEAR(red.most_inflation_beyond_plain, 2, 1e-9);
  records[1].end = "converged";
  EXPECT_NEAR(truth_shell(records[1], true), 14, 1e-9) << "RELION's joined map, without a denoiser";
  records[0].end = "hopeless";
  records[0].score.raw = records[1].score.raw;
  EXPECT_NEAR(truth_shell(records[0], true), 10, 1e-9) << "no denoiser took part";
}

TEST(Summary, StoppedRefinementsWithoutARawMapAreNotJudged) {
  std::vector<CellRecord> records = {record("A", 0.1, "plain", 10, 10), record("A", 0.1, "red", 14, 13),
                                     record("B", 0.1, "plain", 10, 10), record("B", 0.1, "red", 11, 11)};
  records[1].end = "iteration limit";
  EXPECT_FALSE(judged(records[1]));
  EXPECT_TRUE(std::isnan(truth_shell(records[1], true)));
  const BenchmarkSummary s = summarise(records, 20);
  const ModeSummary& red = s.modes.at(0);
  EXPECT_EQ(red.data_sets, 1);
  EXPECT_NEAR(red.mean_gain, 0.1, 1e-9);
  EXPECT_NEAR(red.mean_inflation, 0, 1e-9);
  EXPECT_EQ(overview_table(s).rows.at(0).at(2), "-");
  const auto row = detail_table(s).rows.at(1);
  EXPECT_EQ(row.at(2), "-");
  EXPECT_EQ(row.at(3), "-");
  EXPECT_EQ(row.at(5), "8.6") << "the denoiser's map stands apart";
  EXPECT_EQ(row.at(8), "-");
  EXPECT_FALSE(benchmark_page(s, "/nonexistent").empty());
}

TEST(Summary, RandomPhasesStandApart) {
  const std::string random = R"(,"randomise_phases_beyond_A":10.0)";
  std::vector<CellRecord> records = {record("A", 0.2, "plain", 10, 10, 5, 1, random),
                                     record("A", 0.2, "red", 10, 17, 5, 1, random)};
  records[1].score.final_half_fsc.assign(25, 0.25);
  ASSERT_TRUE(invented(records[1]));
  EXPECT_DOUBLE_EQ(*invented(records[1]), 0.25);  // shells 13 .. 24
  EXPECT_FALSE(invented(record("A", 0.2, "red", 10, 17)));
  // Beyond shell 12.6: a part of shell 13, which begins at 12.5, is honest.
  CellRecord between = record("A", 0.2, "red", 10, 17, 5, 1, R"(,"randomise_phases_beyond_A":9.52)");
  between.score.final_half_fsc.assign(25, 0.0);
  between.score.final_half_fsc[13] = 1;
  EXPECT_DOUBLE_EQ(invented(between).value(), 0);
  EXPECT_EQ(summarise(records, 20).modes.at(0).counting, 0);
}

TEST(Summary, StructuresStandInTheOrderOfTheFile) {
  const std::vector<CellRecord> records = {record("A", 0.1, "plain", 9, 9), record("B", 0.1, "plain", 9, 9),
                                           record("B", 0.2, "plain", 9, 9), record("C", 0.1, "plain", 9, 9)};
  std::string order;
  for (const DataSetRecords& d : summarise(records, 20, {"C", "B"}).data_sets) order += d.title + "; ";
  EXPECT_EQ(order, "C, SNR 0.1; B, SNR 0.2; B, SNR 0.1; A, SNR 0.1; ");
}

TEST(Summary, SeveralWeightsAreSeveralColumns) {
  std::vector<CellRecord> records = {record("A", 0.2, "plain", 10, 10), record("A", 0.2, "red", 11, 11),
                                     record("A", 0.2, "red", 12, 12)};
  records[1].weights.sha256 = "aaaaaaaabb";
  records[2].weights.sha256 = "bbbbbbbbbb";
  const BenchmarkSummary s = summarise(records, 20);
  EXPECT_EQ(s.columns, (std::vector<std::string>{"plain", "red@aaaaaaaa", "red@bbbbbbbb"}));
}

TEST(Summary, WeightsThatThePixelSizeDecidedAreOneColumn) {
  std::vector<CellRecord> records = {record("A", 0.2, "plain", 10, 10), record("A", 0.2, "red", 11, 11),
                                     record("A", 0.4, "red", 12, 12)};
  records[1].weights.sha256 = "aaaaaaaabb";
  records[2].weights.sha256 = "bbbbbbbbbb";
  records[2].score.pixel_size = 1.5;
  EXPECT_EQ(summarise(records, 20).columns, (std::vector<std::string>{"plain", "red"}));
}

TEST(Report, ShowsThePerShellMapsWhereSeveralRefinementsAreComplete) {
  const TemporaryFolder folder;
  Map map(48, 48, 48);
  map.fill(1);
  for (const char* mode : {"plain", "cw-red", "per-shell"})
    write_record(folder.path().string(), record("4LW4", 0.1, mode, 12, 12), &map);
  CellRecord alone = record("3H11", 0.1, "known-angles", 20, 20);  // of the paper's size, not refined yet
  alone.large = true;
  write_record(folder.path().string(), alone, nullptr);
  const std::vector<CellRecord> records = read_records(folder.path().string());
  ASSERT_EQ(records.size(), 4u);
  const std::string page = benchmark_page(summarise(records, 20), folder.path().string());
  EXPECT_NE(page.find("4LW4, per-shell"), std::string::npos);
  EXPECT_EQ(page.find("4LW4, cw-red"), std::string::npos);
  EXPECT_EQ(page.find("at the paper's own size"), std::string::npos);
  EXPECT_NE(page.find("3H11, SNR 0.1"), std::string::npos) << "the tables have it";
}

TEST(Report, SaysWhereAPictureIsTheDenoisersMap) {
  const TemporaryFolder folder;
  Map map(48, 48, 48);
  map.fill(1);
  write_record(folder.path().string(), record("4LW4", 0.1, "plain", 12, 12), &map);
  CellRecord red = record("4LW4", 0.1, "red", 15, 13);
  red.score.raw = record("4LW4", 0.1, "red", 12.5, 12).score.final_map;
  const auto page_of = [&](const char* end) {
    red.end = end;
    write_record(folder.path().string(), red, &map);
    const std::vector<CellRecord> records = read_records(folder.path().string());
    return benchmark_page(summarise(records, 20), folder.path().string());
  };
  const std::string stopped = page_of("iteration limit"), converged = page_of("converged");
  EXPECT_NE(stopped.find("9.6 A to truth (shown: the denoiser's map, 8.0 A)"), std::string::npos);
  EXPECT_EQ(converged.find("shown: the denoiser"), std::string::npos);
}

TEST(Report, IsMadeOfStoredRecordsAlone) {
  const TemporaryFolder folder;
  const std::string results = folder.path().string();
  Map map(48, 48, 48);
  map.fill(0);
  for (std::size_t i = 0; i < map.size(); i += 7) map.data[i] = static_cast<float>(i % 13);
  for (const char* mode : {"plain", "red"})
    for (const int seed : {1, 2}) {
      const bool red = std::string(mode) == "red";
      CellRecord r = record("4LW4", 0.1, mode, (red ? 14 : 12) + 0.2 * seed, 13, red ? 4 : 5, seed);
      r.relion_version = "3.1.3";
      write_record(results, r, &map);
    }
  const std::vector<CellRecord> records = read_records(results);
  ASSERT_EQ(records.size(), 4u);
  const BenchmarkSummary s = summarise(records, 20);
  const ReportTable table = overview_table(s);
  ASSERT_EQ(table.rows.size(), 2u);
  for (const ReportTable& t : {table, detail_table(s), goal_table(s)})
    for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.columns.size());
  EXPECT_EQ(detail_table(s).numeric.size(), detail_table(s).columns.size());
  EXPECT_EQ(goal_table(s).numeric.size(), goal_table(s).columns.size());
  EXPECT_EQ(table.rows[0][0], "4LW4, SNR 0.1");
  EXPECT_EQ(table.rows[0][1], "9.8");
  EXPECT_EQ(table.rows[0][2], "8.5 better");
  EXPECT_EQ(table.rows[1][0], "4LW4, SNR 0.1, seed 2");
  EXPECT_EQ(detail_table(s).rows.size(), 4u);
  EXPECT_EQ(goal_table(s).rows.at(0).at(3), "2");
  const std::string markdown = benchmark_markdown(s);
  EXPECT_NE(markdown.find("| 4LW4, SNR 0.1 | 9.8 | 8.5 better |"), std::string::npos) << markdown;
  const std::string page = benchmark_page(s, results);
  for (const char* part :
       {"Figure 3", "Figure 4", "Figure 5", "Figure 6", "RELION 3.1.3", "8.5 better", "data:image/png"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_EQ(page.find("Figure 2"), std::string::npos) << "no denoiser of Gaussian noise was run";
}

}  // namespace
}  // namespace cryored
