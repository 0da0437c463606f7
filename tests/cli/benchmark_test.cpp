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

TEST(BenchmarkCommand, TellsWhatItCannotRunOrReuse) {
  const ScratchFolder scratch;
  const fs::path known = CRYORED_TEST_BENCHMARK, results = fs::path(scratch.path()) / "results";
  const std::string data_set = "4LW4_box48_n2000_snr0.4";
  fs::create_directories(results / data_set);
  for (const char* name : {"plain.json", "plain.mrc.gz"})
    fs::copy_file(known / "results" / data_set / name, results / data_set / name);
  const auto benchmark = [&](const fs::path& file, std::vector<std::string> words) {
    Invocation call;
    call.words = {std::string(CRYORED_TEST_BIN) + "/cryored",
                  "evaluate",
                  "benchmark",
                  "--benchmark",
                  file.string(),
                  "--results",
                  results.string(),
                  "--out",
                  scratch / "cells",
                  "--weights",
                  "builtin:identity"};
    call.words.insert(call.words.end(), words.begin(), words.end());
    return run(call);
  };
  const std::vector<std::string> list = {"--cells", data_set + "/plain", "--list"};
  EXPECT_EQ(benchmark(known / "benchmark.json", list).code, 0);
  EXPECT_EQ(benchmark(known / "benchmark.json", {"--cells", data_set + "/plain"}).code, 0) << "done already";
  const Outcome nothing = benchmark(known / "benchmark.json", {"--cells", data_set + "/*"});
  EXPECT_EQ(nothing.code, 1) << nothing.out;
  EXPECT_NE(nothing.err.find("needs its structure"), std::string::npos) << nothing.err;
  EXPECT_NE(nothing.err.find("cells could not be run"), std::string::npos) << nothing.err;
  auto json = nlohmann::ordered_json::parse(text_of(known / "benchmark.json"));
  json["relion"]["healpix_order"] = 3;
  const fs::path other = fs::path(scratch.path()) / "other.json";
  std::ofstream(other) << json.dump();
  for (const char* what : {"--list", "--report"}) {
    const Outcome refused = benchmark(other, {"--cells", data_set + "/plain", what});
    EXPECT_EQ(refused.code, 1) << refused.out;
    EXPECT_NE(refused.err.find("plain.json"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("--healpix_order 3"), std::string::npos) << refused.err;
  }

  // Told for each cell that it concerns; the others go on.
  const std::string both = data_set + "/plain,4LW4_box48_n2000_snr0.2/plain";
  const Outcome each = benchmark(other, {"--cells", both, "--list"});
  EXPECT_EQ(each.code, 1);
  EXPECT_NE(each.out.find("1 refused"), std::string::npos) << each.out;
  EXPECT_NE(each.out.find("4LW4_box48_n2000_snr0.2/plain"), std::string::npos) << each.out;
  const Outcome tried = benchmark(other, {"--cells", both});
  EXPECT_EQ(tried.code, 1);
  EXPECT_NE(tried.err.find("--healpix_order 3"), std::string::npos) << tried.err;
  EXPECT_NE(tried.err.find("4LW4_box48_n2000_snr0.2/plain: needs its structure"), std::string::npos) << tried.err;
  EXPECT_NE(tried.err.find("1 cells failed"), std::string::npos) << tried.err;

  // A damaged record is its own cell's fault.
  std::ofstream(results / data_set / "plain.json") << R"({"schema": "cryored-benchmark-cell")";
  const Outcome damaged = benchmark(known / "benchmark.json", {"--cells", both, "--list"});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_NE(damaged.out.find("1 refused"), std::string::npos) << damaged.out;
  EXPECT_NE(damaged.err.find("warning: left out"), std::string::npos) << damaged.err;
  const Outcome beside = benchmark(known / "benchmark.json", {"--cells", both});
  EXPECT_NE(beside.err.find("4LW4_box48_n2000_snr0.2/plain: needs its structure"), std::string::npos) << beside.err;
  EXPECT_NE(beside.err.find("warning: left out"), std::string::npos) << beside.err;
  EXPECT_EQ(beside.err.find("warning: left out"), beside.err.rfind("warning: left out")) << "once";
  const Outcome elsewhere = benchmark(known / "benchmark.json", {"--cells", "4LW4_box48_n2000_snr0.2/plain", "--list"});
  EXPECT_EQ(elsewhere.code, 0) << elsewhere.err;

  std::vector<std::string> two;
  for (const char* folder : {"a", "b"}) {
    fs::create_directories(fs::path(scratch.path()) / folder);
    two.push_back(scratch / (std::string(folder) + "/model.pdb"));
    std::ofstream(two.back()) << "END\n";
  }
  const Outcome twice = benchmark(known / "benchmark.json", {two[0], two[1], "--list"});
  EXPECT_EQ(twice.code, 1);
  for (const std::string& file : two) EXPECT_NE(twice.err.find(file), std::string::npos) << twice.err;
}

}  // namespace
}  // namespace cryored_test
