// cryored train as users and launchers start it: killed, in several ranks, told to end.

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "models/weights_file.hpp"
#include "tests/cli/process.hpp"
#include "tests/training/blob_pairs.hpp"
#include "tests/training/free_port.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Words = std::vector<std::string>;

const std::string program = std::string(CRYORED_TEST_BIN) + "/cryored";

class TrainProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(scratch_ / "pairs");
    cryored::test::write_blob_shards(scratch_ / "pairs");
  }
  std::string run_folder(const std::string& name) const { return scratch_ / name; }

  /// A small run of 12 steps, validated every 6; `change` replaces or adds options.
  Words words(const std::string& name, const std::map<std::string, std::string>& change = {}) const {
    std::map<std::string, std::string> options{{"pairs", scratch_ / "pairs"},
                                               {"run", run_folder(name)},
                                               {"steps", "12"},
                                               {"batch", "4"},
                                               {"levels", "3"},
                                               {"width", "8"},
                                               {"device", "cpu"},
                                               {"threads", "1"},
                                               {"validation-examples", "2"},
                                               {"validate-every", "6"},
                                               {"no-best", ""},
                                               {"report-every", "0"}};
    for (const auto& [option, value] : change) options[option] = value;
    Words w{program, "train"};
    for (const auto& [option, value] : options) {
      w.push_back("--" + option);
      if (!value.empty()) w.push_back(value);
    }
    return w;
  }
  Words two_ranks(const std::string& name, const std::map<std::string, std::string>& change) const {
    Words w{"mpirun",
            "-n",
            "2",
            "--allow-run-as-root",
            "--oversubscribe",
            "--mca",
            "mpi_yield_when_idle",
            "1",
            "--mca",
            "btl_vader_single_copy_mechanism",
            "none"};
    const Words command = words(name, change);
    w.insert(w.end(), command.begin(), command.end());
    return w;
  }
  json curves(const std::string& name) const {
    return json::parse(read_file(run_folder(name) + "/curves.json"))["curves"];
  }
  std::vector<float> weights(const std::string& name) const {
    const std::string path = run_folder(name) + "/denoiser.crw";
    const auto bytes = cryored::read_weights_bytes(path);
    const auto info = cryored::parse_weights(bytes, path);
    std::vector<float> all;
    for (const auto& tensor : info.tensors) {
      const auto values = cryored::tensor_values(bytes, info, tensor);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
  /// Losses within 1e-5 of each other at every validation.
  void expect_same_losses(const json& a, const json& b) const {
    ASSERT_EQ(a["step"], json({6, 12}));
    ASSERT_EQ(b["step"], a["step"]);
    for (const char* key : {"loss", "validation_loss"})
      for (std::size_t i = 0; i < 2; ++i)
        EXPECT_NEAR(a[key][i].get<double>(), b[key][i].get<double>(), 1e-5) << key << " " << i;
  }

  ScratchFolder scratch_;
};

/// How many steps a run has reported.
std::size_t steps_in(const std::string& log) {
  std::size_t count = 0;
  const std::string text = exists(log) ? read_file(log) : "";
  for (auto at = text.find("step "); at != std::string::npos; at = text.find("step ", at + 1)) ++count;
  return count;
}

TEST_F(TrainProgram, ALossOfTheOtherTaskIsRefused) {
  const Outcome refused = run(words("other", {{"loss", "frc"}}));
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--loss"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("both, shells, map"), std::string::npos) << refused.err;
}

TEST_F(TrainProgram, KilledAtRandomItResumesBitForBit) {
  const std::map<std::string, std::string> length{{"steps", "48"}, {"validate-every", "24"}, {"batch", "2"}};
  const Outcome whole = run(words("whole", length));
  ASSERT_EQ(whole.code, 0) << whole.err;
  std::mt19937 rng(20);
  for (int kill = 0; kill < 4; ++kill) {
    auto saving = length;
    saving["save-every"] = "1";
    const std::string log = scratch_ / ("stderr" + std::to_string(kill));
    Invocation start;
    start.words = {"sh", "-c", "exec \"$@\" 2>" + log, "sh"};
    const Words command = words("killed", saving);
    start.words.insert(start.words.end(), command.begin(), command.end());
    Process process(start);
    const std::size_t steps = 1 + rng() % 4;
    const auto begin = std::chrono::steady_clock::now();
    while (steps_in(log) < steps) {
      ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(100)) << read_file(log);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // In the checkpoint of that step, or in the next step.
    std::this_thread::sleep_for(std::chrono::milliseconds(rng() % 20));
    process.send(SIGKILL);
    EXPECT_EQ(process.wait().signal, SIGKILL);
  }
  const Outcome rest = run(words("killed", length));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(weights("whole"), weights("killed"));
  for (const char* key : {"step", "loss", "validation_loss", "fsc_out"})
    EXPECT_EQ(curves("whole")[key], curves("killed")[key]) << key;
  for (const auto& name : fs::directory_iterator(run_folder("killed")))
    EXPECT_FALSE(name.path().extension() == ".tmp") << name.path() << " is a remains of a killed run";
  const std::string card = read_file(run_folder("killed") + "/denoiser.md");
  EXPECT_EQ(card.find("in 1 session"), std::string::npos) << card;
}

TEST_F(TrainProgram, TwoRanksGiveTheLossOfOne) {
  const Outcome one = run(words("one", {{"float32", ""}}));
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome mpi = run(two_ranks("two", {{"float32", ""}}));
  ASSERT_EQ(mpi.code, 0) << mpi.err;
  expect_same_losses(curves("one"), curves("two"));
  const std::string card = read_file(run_folder("two") + "/denoiser.md");
  EXPECT_NE(card.find("2 ranks of 1 thread (Open MPI"), std::string::npos) << card;

  // Ranks and parts of a rank: four parts in all; and a batch that cannot be shared out.
  const Outcome parts = run(two_ranks("parts", {{"float32", ""}, {"accumulate", "2"}}));
  ASSERT_EQ(parts.code, 0) << parts.err;
  expect_same_losses(curves("one"), curves("parts"));
  const Outcome uneven = run(two_ranks("uneven", {{"accumulate", "3"}}));
  EXPECT_EQ(uneven.code, 2) << uneven.err;
  EXPECT_NE(uneven.err.find("a multiple of 6"), std::string::npos) << uneven.err;
}

TEST_F(TrainProgram, TorchrunVariablesServeToo) {
  const Outcome one = run(words("one", {{"float32", ""}}));
  ASSERT_EQ(one.code, 0) << one.err;
  Invocation first, second;
  first.words = second.words = words("two", {{"float32", ""}});
  first.environment = {{"WORLD_SIZE", "2"},
                       {"RANK", "0"},
                       {"MASTER_ADDR", "127.0.0.1"},
                       {"MASTER_PORT", std::to_string(cryored::test::free_port())}};
  second.environment = first.environment;
  second.environment["RANK"] = "1";
  Process other(second);
  const Outcome outcome = run(first), outcome2 = other.wait();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome2.code, 0) << outcome2.err;
  expect_same_losses(curves("one"), curves("two"));

  Invocation incomplete;
  incomplete.words = words("three");
  incomplete.environment = {{"WORLD_SIZE", "2"}};
  const Outcome refused = run(incomplete);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("MASTER_ADDR"), std::string::npos) << refused.err;
}

TEST_F(TrainProgram, SaysSoWhereMpiSeesOtherRanksThanTheLauncher) {
  Invocation start;
  start.words = words("run");
  start.environment = {{"SLURM_STEP_NUM_TASKS", "2"}};
  const Outcome outcome = run(start);
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("srun --mpi=pmix"), std::string::npos) << outcome.err;
  EXPECT_FALSE(exists(run_folder("run") + "/checkpoint.pt"));
}

TEST_F(TrainProgram, EndsWithACheckpointWhenToldTo) {
  Invocation start;
  start.words = words("run", {{"steps", "100000"}, {"validate-every", "100000"}});
  const std::string log = scratch_ / "stderr";
  start.words.insert(start.words.begin(), {"sh", "-c", "exec \"$@\" 2>" + log, "sh"});
  Process process(start);
  for (int i = 0; i < 10000 && (!exists(log) || read_file(log).find("step 3/") == std::string::npos); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  process.send(SIGTERM);
  EXPECT_EQ(process.wait().signal, SIGTERM) << read_file(log);
  EXPECT_NE(read_file(log).find("checkpoint written"), std::string::npos) << read_file(log);
  EXPECT_TRUE(exists(run_folder("run") + "/checkpoint.pt"));
}

TEST_F(TrainProgram, EndsWithACheckpointUnderMpirun) {
  const std::map<std::string, std::string> endless{{"steps", "100000"}, {"validate-every", "100000"}};
  const auto ends = [&](const std::string& name, int signal, const Words& more) {
    Invocation start;
    const std::string log = scratch_ / (name + ".stderr");
    start.words = two_ranks(name, endless);
    start.words.insert(start.words.begin() + 1, more.begin(), more.end());
    start.words.insert(start.words.begin(), {"sh", "-c", "exec \"$@\" 2>" + log, "sh"});
    Process process(start);
    for (int i = 0; i < 10000 && (!exists(log) || read_file(log).find("step 3/") == std::string::npos); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    process.send(signal);
    process.wait();
    EXPECT_NE(read_file(log).find("checkpoint written"), std::string::npos) << read_file(log);
    EXPECT_TRUE(exists(run_folder(name) + "/checkpoint.pt"));
  };
  ends("usr1", SIGUSR1, {});
  ends("term", SIGTERM, {"--mca", "odls_base_sigkill_timeout", "8"});
}

TEST_F(TrainProgram, RefusesWhatItCannotUse) {
  const auto refused = [&](const Words& w, int code, const std::string& text) {
    const Outcome outcome = run(w);
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << outcome.err;
  };
  refused({program, "train", "--run", run_folder("run")}, 2, "--pairs");
  refused({program, "train", "--pairs", scratch_ / "pairs"}, 2, "--run");
  refused(words("run", {{"task", "segment"}}), 2, "segment");
  refused(words("run", {{"pairs", scratch_ / "nothing"}}), 1, "cryored pairs");
  refused(words("run", {{"levels", "5"}}), 1, "multiples of 16");
  write_file(scratch_ / "file", "");
  refused(words("x", {{"run", (scratch_ / "file") + "/run"}}), 1, "give another --run");
  EXPECT_FALSE(exists(run_folder("run") + "/checkpoint.pt"));
}

TEST(TrainLibrary, NothingElseLinksLibTorchOrMpi) {
  const auto needs = [](const std::string& file) { return run(Words{"ldd", file}).out; };
  const std::string libraries = std::string(CRYORED_TEST_BIN) + "/../lib/cryored/";
  for (const std::string& file : {program, std::string(CRYORED_TEST_BIN) + "/cryored-reconstruct"}) {
    EXPECT_NE(needs(file).find("libc.so"), std::string::npos);
    EXPECT_EQ(needs(file).find("libtorch"), std::string::npos) << file;
    EXPECT_EQ(needs(file).find("libmpi"), std::string::npos) << file;
  }
  for (const char* library : {"libcryored_train.so", "libcryored_denoise.so"}) {
    EXPECT_NE(needs(libraries + library).find("libtorch_cpu"), std::string::npos);
    EXPECT_EQ(needs(libraries + library).find("libmpi"), std::string::npos) << library;
  }
  EXPECT_NE(needs(libraries + "libcryored_mpi.so").find("libmpi"), std::string::npos);
}

}  // namespace
}  // namespace cryored_test
