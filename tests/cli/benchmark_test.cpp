// cryored evaluate benchmark on records of this repository.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// As a version wrote it that compared maps otherwise.
void make_old(const fs::path& record) {
  auto json = nlohmann::ordered_json::parse(text_of(record));
  json["score"]["version"] = 1;
  json["score"]["final"]["to_truth"]["fsc"][1] = 0.1;
  std::ofstream(record) << json.dump();
}

TEST(BenchmarkCommand, RecordsOfAnOlderVersionAreScoredAgainFromTheirMaps) {
  const ScratchFolder scratch;
  const fs::path known = CRYORED_TEST_BENCHMARK, results = fs::path(scratch.path()) / "results";
  const std::string data_set = "4LW4_box48_n2000_snr0.4";
  fs::create_directories(results / data_set);
  fs::create_directories(results / "truth");
  for (const char* name : {"plain.json", "plain.mrc.gz", "known-angles.json"})
    fs::copy_file(known / "results" / data_set / name, results / data_set / name);
  fs::copy_file(known / "results/truth/4LW4_box48_2.5A.mrc.gz", results / "truth/4LW4_box48_2.5A.mrc.gz");
  const fs::path plain = results / data_set / "plain.json", ceiling = results / data_set / "known-angles.json";
  const auto was = nlohmann::json::parse(text_of(plain))["score"]["final"];
  make_old(plain);
  make_old(ceiling);

  const auto benchmark = [&](const std::string& what) {
    Invocation call;
    call.words = {std::string(CRYORED_TEST_BIN) + "/cryored",
                  "evaluate",
                  "benchmark",
                  "--benchmark",
                  (known / "benchmark.json").string(),
                  "--results",
                  results.string(),
                  "--out",
                  scratch / "cells",
                  "--weights",
                  "builtin:identity",
                  what};
    return run(call);
  };
  const Outcome refused = benchmark("--report");
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find("--rescore"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(results / "README.md"));

  const Outcome rescored = benchmark("--rescore");
  EXPECT_EQ(rescored.code, 0) << rescored.err;
  EXPECT_NE(rescored.out.find("1 records scored again"), std::string::npos) << rescored.out;
  EXPECT_NE(rescored.out.find("known-angles.json: keeps no map"), std::string::npos) << rescored.out;
  const auto is = nlohmann::json::parse(text_of(plain))["score"]["final"];
  const auto &before = was["to_truth"], &after = is["to_truth"];
  ASSERT_EQ(after["fsc"].size(), before["fsc"].size());
  for (std::size_t s = 0; s < after["fsc"].size(); ++s)
    EXPECT_NEAR(after["fsc"][s].get<double>(), before["fsc"][s].get<double>(), 1e-3) << s;
  EXPECT_EQ(after["fsc_masked"], before["fsc_masked"]);
  EXPECT_EQ(is["half_map_fsc"], was["half_map_fsc"]);

  fs::remove(ceiling);
  const Outcome reported = benchmark("--report");
  EXPECT_EQ(reported.code, 0) << reported.err;
  EXPECT_NE(text_of(results / "README.md").find("4LW4, SNR 0.4"), std::string::npos);
}

}  // namespace
}  // namespace cryored_test
