// Driving, stopping and continuing a refinement, with a stand-in for mpirun that leaves the
// files that RELION would; refine_relion_test.cpp does it with the real one.
#include "evaluation/relion_run.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "core/base/error.hpp"
#include "evaluation/cell.hpp"
#include "evaluation/process.hpp"
#include "tests/evaluation/job_files.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

// Writes an iteration every FAKE_SECONDS until --auto_iter_max or FAKE_CONVERGE.
constexpr const char* kFakeMpirun = R"sh(#!/bin/bash
echo "$@" >> args.log
echo "external=$RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE" >> args.log
echo "lambda=$CRYORED_LAMBDA weights=$CRYORED_WEIGHTS config=$(cat "$CRYORED_CONFIG" 2>&1)" >> args.log
echo "RELION version: 3.1.3"
iteration=0; last=999; root=run
while (($#)); do
  case $1 in
    --auto_iter_max) last=$2 ;;
    --continue) iteration=$(sed 's/.*_it0*\([0-9]*\)_.*/\1/' <<<"$2"); root=run_ct$iteration ;;
  esac
  shift
done
while ((iteration < last)); do
  iteration=$((iteration + 1))
  echo " Expectation iteration $iteration"
  sleep "${FAKE_SECONDS:-0}"
  [[ ${FAKE_FAIL:-} == "$iteration" ]] && { echo "ERROR: out of cheese" >&2; exit 3; }
  stem=${root}_it00$iteration
  cp "$FAKE_FILES/optimiser.star" "${stem}_optimiser.star"
  for half in _half1 _half2; do
    cp "$FAKE_FILES/model.star" "$stem${half}_model.star"
    cp "$FAKE_FILES/map.mrc" "$stem${half}_class001.mrc"
  done
  for kind in sampling data; do cp "$FAKE_FILES/$kind.star" "${stem}_$kind.star"; done
  [[ ${FAKE_FULL_DISK:-} == "$iteration" ]] && : > "${stem}_data.star"
  if [[ ${FAKE_CONVERGE:-} == "$iteration" ]]; then
    for kind in model sampling data; do cp "$FAKE_FILES/$kind.star" "${root}_$kind.star"; done
    cp "$FAKE_FILES/map.mrc" "${root}_class001.mrc"
    exit 0
  fi
done
)sh";

class RelionRun : public testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::path(testing::TempDir()) /
            (std::string("run_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(base_);
    fs::create_directories(base_ / "bin");
    fs::create_directories(base_ / "files");
    write_job_files(base_ / "files");
    setenv("FAKE_FILES", (base_ / "files").c_str(), 1);
    for (const char* name : {"mpirun", "relion_refine_mpi"}) {
      std::ofstream(base_ / "bin" / name) << kFakeMpirun;
      fs::permissions(base_ / "bin" / name, fs::perms::owner_all);
    }
    path_ = std::getenv("PATH");
    setenv("PATH", ((base_ / "bin").string() + ":" + path_).c_str(), 1);
    job_.folder = (base_ / "job").string();
    job_.particles = "/data/particles.star";
    job_.reference = "/data/initial.mrc";
    job_.options.particle_diameter = 90;
    job_.options.max_iterations = 3;
  }
  void TearDown() override {
    setenv("PATH", path_.c_str(), 1);
    for (const char* name : {"FAKE_SECONDS", "FAKE_FAIL", "FAKE_CONVERGE", "FAKE_FULL_DISK", "FAKE_FILES"})
      unsetenv(name);
  }
  std::string args() const {
    std::ifstream file(job_.folder + "/args.log");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string base() const { return base_.string(); }

  RelionJob job_;

 private:
  fs::path base_;
  std::string path_;
};

TEST_F(RelionRun, WhatTheCallerHasSetDoesNotDecideTheMap) {
  const std::string config = base() + "/mine.conf";
  std::ofstream(config) << "lambda = 0.5\n";
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"CRYORED_LAMBDA", "0.7"}, {"CRYORED_WEIGHTS", "/my/weights"}, {"CRYORED_CONFIG", config}})
    setenv(name.c_str(), value.c_str(), 1);
  job_.external = "cryored-reconstruct";
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  for (const char* name : {"CRYORED_LAMBDA", "CRYORED_WEIGHTS", "CRYORED_CONFIG"}) unsetenv(name);
  EXPECT_NE(args().find("lambda= weights=/my/weights config=# Empty"), std::string::npos) << args();
}

TEST_F(RelionRun, AHopelessIterationEndsItAndTheRuleMayChange) {
  setenv("FAKE_SECONDS", "1", 1);
  job_.options.max_iterations = 6;
  std::vector<int> asked;
  job_.hopeless = [&](const RelionIteration& it) {
    asked.push_back(it.iteration);
    return it.iteration >= 2;
  };
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::hopeless);
  EXPECT_EQ(read_timeline(job_.folder).end, RunEnd::hopeless);
  ASSERT_GE(asked.size(), 2u);
  EXPECT_EQ(asked[0], 1);
  const int reached = finished_iterations(job_.folder).back().iteration;
  EXPECT_LT(reached, 6);
  // Asked again, it says so without starting anything.
  const std::string before = args();
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::hopeless);
  EXPECT_EQ(args(), before);
  // Without the rule it goes on to its own end.
  job_.hopeless = {};
  setenv("FAKE_SECONDS", "0", 1);
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  EXPECT_EQ(finished_iterations(job_.folder).back().iteration, 6);
}

TEST_F(RelionRun, EndsAtTheIterationLimitAndIsNotRunAgain) {
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  EXPECT_EQ(finished_iterations(job_.folder).size(), 3u);
  const std::string first = args();
  EXPECT_NE(first.find("--auto_refine --split_random_halves"), std::string::npos);
  EXPECT_NE(first.find("--i /data/particles.star --ref /data/initial.mrc"), std::string::npos);
  EXPECT_NE(first.find("--particle_diameter 90 "), std::string::npos);
  EXPECT_NE(first.find("--auto_iter_max 3"), std::string::npos);
  EXPECT_EQ(first.find("--external_reconstruct"), std::string::npos);
  EXPECT_NE(first.find("external=\n"), std::string::npos);
  EXPECT_EQ(first.find("--allow-run-as-root") != std::string::npos, geteuid() == 0);
  const Timeline timeline = read_timeline(job_.folder);
  EXPECT_EQ(timeline.iterations.size(), 3u);
  EXPECT_EQ(timeline.segments, 1);
  EXPECT_EQ(timeline.end, RunEnd::iteration_limit);
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  EXPECT_EQ(args(), first);
  job_.options.max_iterations = 4;  // a wider limit goes on from there
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  EXPECT_NE(args().find("--continue run_it003_optimiser.star"), std::string::npos);
  EXPECT_EQ(finished_iterations(job_.folder).back().iteration, 4);
}

TEST_F(RelionRun, IterationsBeyondTheLimitAreNotTakenOver) {
  const auto refused = [&] {
    job_.options.max_iterations = 2;
    try {
      run_relion(job_, {}, {});
      ADD_FAILURE() << "took a refinement over that went beyond the stop rule";
    } catch (const InputError& e) {
      for (const std::string& named : {job_.folder, std::string("finished iterations"), std::string("3"),
                                       std::string("2 or less"), std::string("another output folder")})
        EXPECT_NE(std::string(e.what()).find(named), std::string::npos) << e.what();
    }
  };
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  refused();
  setenv("FAKE_CONVERGE", "3", 1);  // nor one that converged there
  fs::remove_all(job_.folder);
  job_.options.max_iterations = 0;
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::converged);
  refused();
  job_.options.max_iterations = 3;
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::converged);
}

TEST_F(RelionRun, AFullDiskBreaksACellForAsLongAsItIsFull) {
  setenv("FAKE_FULL_DISK", "3", 1);  // RELION does not notice, and ends with status 0
  EXPECT_THROW(run_relion(job_, {}, {}), SystemError);
  EXPECT_FALSE(read_timeline(job_.folder).end);
  // A version that took it for finished recorded an end.
  std::ofstream(job_.folder + "/timeline.json")
      << R"({"segments": 1, "total_seconds": 1, "cpu_seconds": 1, "end": "iteration limit",
             "iterations": [{"iteration": 1, "seconds": 1}, {"iteration": 2, "seconds": 1}, {"iteration": 3, "seconds": 1}]})";
  unsetenv("FAKE_FULL_DISK");
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  EXPECT_NE(args().find("--continue run_it002_optimiser.star"), std::string::npos) << args();
  const auto finished = finished_iterations(job_.folder);
  ASSERT_EQ(finished.size(), 3u);
  EXPECT_EQ(fs::path(finished.back().root).filename(), "run_ct2_it003");
}

TEST_F(RelionRun, HandsTheExternalProgramOver) {
  job_.external = refine_mode("red", "/opt/my programs/cryored-reconstruct", "--device cpu").external;
  EXPECT_EQ(job_.external, "'/opt/my programs/cryored-reconstruct' --prior red --lambda 1 --device cpu");
  EXPECT_EQ(refine_mode("cw-red", "/opt/x").external, "/opt/x --prior cw-red");
  EXPECT_THROW(refine_mode("cw", "/opt/x"), UsageError);
  setenv("FAKE_CONVERGE", "2", 1);
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::converged);
  EXPECT_NE(args().find("--external_reconstruct"), std::string::npos);
  EXPECT_NE(args().find("external=" + job_.external + "\n"), std::string::npos);
}

TEST(Records, AreRequiredOfModesThatCallCryored) {
  RefinementScore score;
  score.iterations.resize(2);
  for (const std::size_t it : {0u, 1u}) {
    score.iterations[it].iteration = static_cast<int>(it) + 1;
    for (ReconstructionNote& note : score.iterations[it].notes) note.seconds = 3;
  }
  Cell cell;
  cell.folder = "/out/a cell";
  cell.mode = refine_mode("gaussian", "/opt/cryored-reconstruct");
  EXPECT_NO_THROW(require_records(cell, score));
  score.iterations[1].notes[1].seconds.reset();  // RELION's own program leaves none
  try {
    require_records(cell, score);
    FAIL() << "a refinement without cryored passed";
  } catch (const Error& e) {
    for (const char* named : {"/out/a cell: iteration 2", "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE", "cryored doctor"})
      EXPECT_NE(std::string(e.what()).find(named), std::string::npos) << e.what();
  }
  cell.mode = refine_mode("plain", "/opt/cryored-reconstruct");
  EXPECT_NO_THROW(require_records(cell, score));
}

TEST_F(RelionRun, ContinuesWhereItWasCancelled) {
  setenv("FAKE_SECONDS", "1", 1);
  int reports = 0;
  double left = -1;
  const auto cancel_after_first = [&] { return !finished_iterations(job_.folder).empty(); };
  const RunEnd end = run_relion(
      job_,
      [&](const RunProgress& p) {
        ++reports;
        if (p.left) left = *p.left;
      },
      cancel_after_first);
  EXPECT_EQ(end, RunEnd::cancelled);
  EXPECT_GT(reports, 0);
  EXPECT_FALSE(read_timeline(job_.folder).end);
  const auto before = finished_iterations(job_.folder);
  ASSERT_FALSE(before.empty());
  ASSERT_LT(before.back().iteration, 3);
  setenv("FAKE_SECONDS", "0", 1);
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
  const std::string continued = args().substr(args().find('\n', args().find("external=")) + 1);
  EXPECT_NE(continued.find("--continue run_it00" + std::to_string(before.back().iteration) + "_optimiser.star"),
            std::string::npos);
  EXPECT_EQ(continued.find("--ref"), std::string::npos);
  EXPECT_EQ(finished_iterations(job_.folder).back().iteration, 3);
  const Timeline timeline = read_timeline(job_.folder);
  EXPECT_EQ(timeline.segments, 2);
  EXPECT_EQ(timeline.iterations.size(), 3u);
  EXPECT_GE(timeline.total_seconds, 1);
}

TEST_F(RelionRun, StopsAtTheTimeLimit) {
  setenv("FAKE_SECONDS", "30", 1);
  job_.options.max_iterations = 0;
  job_.options.max_seconds = 1;
  std::optional<double> left;
  EXPECT_EQ(run_relion(job_, [&](const RunProgress& p) { left = p.left; }, {}), RunEnd::time_limit);
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 1);
  EXPECT_LT(read_timeline(job_.folder).total_seconds, 10);
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::time_limit);  // and stays ended
}

TEST_F(RelionRun, FailureCarriesTheEndOfTheLog) {
  setenv("FAKE_FAIL", "2", 1);
  try {
    run_relion(job_, {}, {});
    FAIL() << "a failed refinement passed";
  } catch (const SystemError& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("exit status 3"), std::string::npos) << what;
    EXPECT_NE(what.find("out of cheese"), std::string::npos) << what;
    EXPECT_NE(what.find("relion.log"), std::string::npos) << what;
  }
  EXPECT_FALSE(read_timeline(job_.folder).end);  // can be continued
  unsetenv("FAKE_FAIL");
  EXPECT_EQ(run_relion(job_, {}, {}), RunEnd::iteration_limit);
}

TEST_F(RelionRun, StatusZeroWithoutAResultIsAnError) {
  job_.options.max_iterations = 0;
  std::ofstream(base() + "/bin/mpirun") << "#!/bin/sh\nexit 0\n";
  EXPECT_THROW(run_relion(job_, {}, {}), SystemError);
}

TEST_F(RelionRun, MissingRelionIsNamed) {
  fs::remove(base() + "/bin/relion_refine_mpi");
  setenv("PATH", (base() + "/bin").c_str(), 1);
  try {
    run_relion(job_, {}, {});
    FAIL() << "ran without RELION";
  } catch (const SystemError& e) {
    EXPECT_NE(std::string(e.what()).find("relion_refine_mpi"), std::string::npos);
  }
}

TEST_F(RelionRun, BrokenTimelineIsNamed) {
  fs::create_directories(job_.folder);
  std::ofstream(job_.folder + "/timeline.json") << "{\"segments\": 1}";
  EXPECT_THROW(run_relion(job_, {}, {}), InputError);
}

TEST(ChildProcess, EndsItsWholeGroup) {
  const std::string folder = testing::TempDir();
  const std::string log = folder + "/group.log";
  fs::remove(log);
  ChildProcess child({"bash", "-c", "sleep 300 & echo $!; wait"}, folder, log, {{"CHILD", "1"}});
  int grandchild = 0;
  for (int i = 0; i < 100 && grandchild == 0; ++i) {
    usleep(50000);
    std::ifstream(log) >> grandchild;
  }
  ASSERT_GT(grandchild, 0);
  EXPECT_FALSE(child.poll());
  child.stop(2);
  EXPECT_TRUE(child.poll());
  // The grandchild is gone, or a zombie that waits for init.
  std::string state = "gone";
  for (int i = 0; i < 40; ++i) {
    std::ifstream stat("/proc/" + std::to_string(grandchild) + "/stat");
    std::string id, name;
    if (!(stat >> id >> name >> state)) state = "gone";
    if (state == "gone" || state == "Z") break;
    usleep(50000);
  }
  EXPECT_TRUE(state == "gone" || state == "Z") << state;
  EXPECT_THROW(ChildProcess({"no-such-program-here"}, folder, log, {}), SystemError);
}

TEST(ChildProcess, CountsTheTimeOfGrandchildrenThatNobodyWaitedFor) {
  const std::string folder = testing::TempDir();
  const std::string log = folder + "/time.log";
  fs::remove(log);
  // As mpirun: a grandchild in a group of its own, which ends with the child's end, not waited for.
  ChildProcess child({"bash", "-c", "parent=$$; setsid bash -c \"while [ -e /proc/$parent ]; do :; done\" & wait"},
                     folder, log, {});
  const auto start = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  child.stop(2);
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GT(child.cpu_seconds(), 0.05) << "its share of a busy machine";
  EXPECT_LT(child.cpu_seconds(), 1.5 * elapsed);
}

}  // namespace
}  // namespace cryored
