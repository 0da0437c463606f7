// cryored evaluate refine and cryored-demo with real RELION, on data sets so small that only the course of things is
// tested.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

const std::string kStructure = std::string(CRYORED_TEST_BUILD) + "/share/cryored/demo/4AKE.pdb.gz";

class EvaluateRefine : public testing::Test {
 protected:
  Outcome refine(const std::vector<std::string>& options,
                 const std::map<std::string, std::string>& environment = {}) const {
    Invocation call;
    call.environment = environment;
    call.words = {
        std::string(CRYORED_TEST_BIN) + "/cryored", "evaluate", "refine", kStructure, "--out", scratch / "out"};
    for (const char* word : {"--count", "40", "--box", "32", "--pixel-size", "4", "--snr", "1", "--healpix-order", "1",
                             "--max-significant", "50"})
      call.words.push_back(word);
    call.words.insert(call.words.end(), options.begin(), options.end());
    return run(call);
  }
  fs::path cell(const std::string& name) const { return fs::path(scratch / "out/4AKE_box32_n40_snr1_4A") / name; }
  const ScratchFolder scratch;
};

TEST_F(EvaluateRefine, DoesNotTakeOverTheResultOfOtherWeights) {
  const fs::path weights = scratch / "my weights.crw";
  const std::vector<std::string> options = {
      "--modes", "red-mine", "--weights-mode", "red-mine=" + weights.string(), "--max-iterations", "1"};
  fs::copy_file(CRYORED_TEST_WEIGHTS, weights);
  const Outcome first = refine(options);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(read_file((cell("red-mine") / "cell.json").string()).find("\"weights_sha256\": \""), std::string::npos);
  EXPECT_EQ(refine(options).code, 0);
  fs::copy_file(CRYORED_TEST_RANDOM_WEIGHTS, weights, fs::copy_options::overwrite_existing);
  const Outcome other = refine(options);
  EXPECT_EQ(other.code, 1) << other.out;
  EXPECT_NE(other.err.find("weights_sha256"), std::string::npos) << other.err;
}

TEST_F(EvaluateRefine, HandsOverTheOptionsThatCryoredReconstructTakesForItself) {
  const std::vector<std::string> options = {"--modes", "red", "--max-iterations", "1", "--reconstruct-options"};
  const auto with = [&](const std::string& words) {
    std::vector<std::string> all = options;
    all.push_back(words);
    return refine(all);
  };
  const std::string weights = " --weights " + std::string(CRYORED_TEST_WEIGHTS);
  const Outcome misspelt = with("--no-deamon" + weights);
  EXPECT_EQ(misspelt.code, 2) << misspelt.out;
  EXPECT_NE(misspelt.err.find("cryored-reconstruct: unknown option: found --no-deamon"), std::string::npos)
      << misspelt.err;
  EXPECT_NE(misspelt.err.find("did you mean --no-daemon?"), std::string::npos) << misspelt.err;
  const Outcome taken = with("--no-daemon --heartbeat-timeout 30" + weights);
  EXPECT_EQ(taken.code, 0) << taken.err;
}

TEST_F(EvaluateRefine, WhatTheCallerHasSetForReconstructionsIsNamedAndLeftOut) {
  fs::create_directories(scratch / "home/.config/cryored");
  write_file(scratch / "home/.config/cryored/cryored.conf", "guard = report\n");
  const Outcome outcome = refine({"--modes", "red", "--max-iterations", "1", "--reconstruct-options",
                                  "--no-daemon --weights " + std::string(CRYORED_TEST_WEIGHTS)},
                                 {{"HOME", scratch / "home"}, {"CRYORED_LAMBDA", "0.25"}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("do not reach the refinements"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("CRYORED_LAMBDA, guard of "), std::string::npos) << outcome.err;
  int records = 0;
  for (const auto& entry : fs::directory_iterator(cell("red"))) {
    if (!entry.path().string().ends_with("_external_reconstruct_cryored.json")) continue;
    ++records;
    const std::string text = read_file(entry.path().string());
    EXPECT_NE(nlohmann::json::parse(text).at("options").at("lambda").at("value"), "0.25") << text;
    EXPECT_EQ(text.find("CRYORED_LAMBDA"), std::string::npos) << text;
    EXPECT_EQ(text.find("cryored.conf:"), std::string::npos) << text;
  }
  EXPECT_GT(records, 0);
}

TEST_F(EvaluateRefine, OptionsForReconstructionsAreCheckedBeforeAnythingStarts) {
  for (const char* words : {"--lamda 0.5", "--no-daemon --help", "another.star"}) {
    const Outcome outcome = refine({"--modes", "plain", "--max-iterations", "1", "--reconstruct-options", words});
    EXPECT_EQ(outcome.code, 2) << words << outcome.out;
    EXPECT_FALSE(fs::exists(scratch / "out")) << words;
  }
}

TEST_F(EvaluateRefine, TheOptionsDecideWhetherADenoiserTookPart) {
  for (const char* words : {"--no-daemon --prior gaussian", "--no-daemon --lambda 0"}) {
    fs::remove_all(scratch / "out");
    const std::string weights = " --weights " + std::string(CRYORED_TEST_WEIGHTS);
    const Outcome outcome =
        refine({"--modes", "default", "--max-iterations", "1", "--reconstruct-options", words + weights});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    std::istringstream row(outcome.out.substr(outcome.out.find("\ndefault ")));
    std::string label, to_truth, in_mask, denoised;
    row >> label >> to_truth >> in_mask >> denoised;
    EXPECT_EQ(denoised, "-") << outcome.out;
    EXPECT_NE(in_mask, "-") << "judged by its half-maps, which are nobody's own";
  }
}

TEST_F(EvaluateRefine, ATimeLimitBeforeTheFirstIterationFailsThatCellAlone) {
  const std::vector<std::string> one = {"--max-iterations", "1", "--modes"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), one.begin(), one.end());
    return refine(more);
  };
  ASSERT_EQ(with({"gaussian"}).code, 0);
  const Outcome outcome = with({"plain,gaussian", "--max-minutes", "0.001"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("time limit before the first iteration"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("--max-minutes"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("1 of 2 refinements failed"), std::string::npos) << outcome.err;
  // The other one, finished before, is in the results.
  EXPECT_NE(outcome.out.find("gaussian"), std::string::npos) << outcome.out;
  EXPECT_EQ(with({"plain,gaussian"}).code, 0);
}

TEST(Demo, DoesNotGoOnWithOtherWeights) {
  const ScratchFolder scratch;
  const std::string weights = scratch / "w.crw";
  const auto demo = [&](const std::string& iterations) {
    Invocation call;
    call.words = {std::string(CRYORED_TEST_BIN) + "/cryored-demo", kStructure, "--out", scratch / "out"};
    for (const std::string word : {"--modes", "red", "--count", "40", "--box", "32", "--pixel-size", "4", "--snr", "1"})
      call.words.push_back(word);
    for (const std::string& word : {std::string("--max-iterations"), iterations, std::string("--reconstruct-options"),
                                    "--no-daemon --weights " + weights})
      call.words.push_back(word);
    return run(call);
  };
  fs::copy_file(CRYORED_TEST_WEIGHTS, weights);
  const Outcome first = demo("1");
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("denoised"), std::string::npos) << first.out;
  fs::copy_file(CRYORED_TEST_RANDOM_WEIGHTS, weights, fs::copy_options::overwrite_existing);
  const Outcome other = demo("2");
  EXPECT_EQ(other.code, 1) << other.out;
  EXPECT_NE(other.err.find("weights_sha256"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace cryored_test
