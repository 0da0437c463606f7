// cryored-reconstruct as RELION sees it: start, libraries, paths, signals, what it prints.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using namespace std::chrono_literals;

class PluginTest : public ReconstructTest {
 protected:
  /// A helper that hangs: its config file is a pipe that nobody writes to.
  Invocation hanging() {
    if (!exists(pipe()) && mkfifo(pipe().c_str(), 0644) != 0) ADD_FAILURE() << "mkfifo " << pipe();
    Invocation invocation = call({});
    invocation.environment["CRYORED_CONFIG"] = pipe();
    return invocation;
  }
  std::string pipe() const { return scratch / "pipe"; }
  /// The helper's pid, once the plugin has started it and it has become cryored.
  static pid_t helper_of(const Process& process) {
    for (int i = 0; i < 200; ++i) {
      for (const pid_t child : children_of(process.pid())) {
        std::error_code error;
        if (std::filesystem::read_symlink("/proc/" + std::to_string(child) + "/exe", error).filename() == "cryored")
          return child;
      }
      std::this_thread::sleep_for(10ms);
    }
    return -1;
  }
  static bool gone_within_two_seconds(pid_t pid) {
    for (int i = 0; i < 200; ++i) {
      const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
      if (stat.empty() || stat.find(") Z") != std::string::npos) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
};

TEST_F(PluginTest, LinksNeitherTorchNorCuda) {
  const Outcome plugin_libraries = run(std::vector<std::string>{"ldd", plugin()});
  ASSERT_EQ(plugin_libraries.code, 0) << plugin_libraries.err;
  for (const char* name : {"libtorch", "libc10", "libcuda", "boost", "stdc++", "fftw"})
    EXPECT_EQ(plugin_libraries.out.find(name), std::string::npos) << plugin_libraries.out;
  // The helper itself pays for LibTorch only when a denoiser runs.
  const Outcome helper_libraries = run(std::vector<std::string>{"ldd", cryored()});
  for (const char* name : {"libtorch", "libc10", "libcuda"})
    EXPECT_EQ(helper_libraries.out.find(name), std::string::npos) << helper_libraries.out;
}

TEST_F(PluginTest, StartsInMilliseconds) {
  // The plugin's own cost: with a helper that ends at once (cryored version), less that helper alone. In
  // processor time and the least of many runs, because other tests share the machine.
  double with = 1e9, without = 1e9;
  for (int i = 0; i < 30; ++i) {
    with = std::min(with, run(std::vector<std::string>{plugin(), "--version"}).processor_seconds);
    without = std::min(without, run(std::vector<std::string>{cryored(), "version"}).processor_seconds);
  }
  EXPECT_GT(without, 0);
  EXPECT_LT(with - without, 0.010);
  EXPECT_LT(without, 0.050) << "the helper must not pay for LibTorch";
  RecordProperty("plugin_ms", std::to_string(1e3 * (with - without)));
  RecordProperty("helper_ms", std::to_string(1e3 * without));
}

TEST_F(PluginTest, PrintsExactlyOneLine) {
  files.write();
  const Outcome outcome = run(call({"--prior", "gaussian"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
  EXPECT_EQ(outcome.out.rfind("cryored: run_it004_half1_class001: ", 0), 0u) << outcome.out;
  EXPECT_NE(outcome.out.find("denoiser did not run (--prior gaussian)"), std::string::npos) << outcome.out;
}

TEST_F(PluginTest, RunsFromTheLineThatRelionHandsToTheShell) {
  files.write();
  Invocation invocation;
  invocation.words = {"sh", "-c", plugin() + " --prior gaussian --threads 1 " + files.star()};
  const Outcome outcome = run(invocation);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(exists(files.result()));
}

TEST_F(PluginTest, RelativePathsAreThoseOfTheWorkingDirectory) {
  std::filesystem::create_directories(scratch / "Refine3D/job001");
  files.folder = scratch / "Refine3D/job001";
  files.written_folder = "Refine3D/job001";
  files.write();
  Invocation invocation;
  invocation.folder = scratch.path();
  invocation.words = {plugin(), "--prior", "gaussian", "Refine3D/job001/" + files.stem + "_external_reconstruct.star"};
  const Outcome outcome = run(invocation);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(exists(files.result()));
  EXPECT_TRUE(exists(files.record()));
}

TEST_F(PluginTest, FoldersWithSpacesAndOtherLetters) {
  for (const char* name : {"my data", "Läufe-プロジェクト", "quo'te"}) {
    RequestFiles odd = files;
    odd.folder = scratch / name;
    std::filesystem::create_directory(odd.folder);
    odd.write();
    const Outcome outcome = run(std::vector<std::string>{plugin(), "--prior", "gaussian", odd.star()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(exists(odd.result())) << odd.result();
  }
}

TEST_F(PluginTest, IsFoundThroughASymbolicLink) {
  files.write();
  std::filesystem::create_symlink(plugin(), scratch / "link");
  const Outcome outcome = run(std::vector<std::string>{scratch / "link", "--prior", "gaussian", files.star()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
}

TEST_F(PluginTest, SaysSoWhenItsHelperIsMissing) {
  std::filesystem::copy_file(plugin(), scratch / "cryored-reconstruct");
  const Outcome outcome = run(std::vector<std::string>{scratch / "cryored-reconstruct", files.star()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find(scratch / "cryored: helper program: No such file or directory"), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("Remedy: "), std::string::npos);
}

TEST_F(PluginTest, PassesTheExitCodeOn) {
  EXPECT_EQ(run(std::vector<std::string>{plugin(), "--no-such-option", files.star()}).code, 2);
  EXPECT_EQ(run(std::vector<std::string>{plugin(), scratch / "missing.star"}).code, 1);
  EXPECT_EQ(run(std::vector<std::string>{plugin(), "--help"}).code, 0);
}

TEST_F(PluginTest, PassesSignalsOn) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    Process process(hanging());
    const pid_t helper = helper_of(process);
    ASSERT_GT(helper, 0);
    process.send(number);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.signal, number) << "exit " << outcome.code << " " << outcome.err;
    EXPECT_TRUE(gone_within_two_seconds(helper));
    EXPECT_NE(outcome.err.find("ended by signal"), std::string::npos) << outcome.err;
  }
}

TEST_F(PluginTest, LeavesNoOrphanWhenKilledOutright) {
  Process process(hanging());
  const pid_t helper = helper_of(process);
  ASSERT_GT(helper, 0);
  process.send(SIGKILL);
  EXPECT_TRUE(gone_within_two_seconds(helper));
  process.wait();
}

TEST_F(PluginTest, EndsWithTheProcessThatCalledItForRelion) {
  // A stand-in for a rank of RELION that mpirun kills outright.
  Invocation rank = hanging();
  rank.words = {"sh", "-c", "\"$0\" \"$1\" & wait", plugin(), files.star()};
  rank.environment["RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"] = plugin();
  Process process(rank);
  pid_t middle = -1, helper = -1;
  for (int i = 0; i < 200 && helper < 0; ++i) {
    std::this_thread::sleep_for(10ms);
    for (const pid_t child : children_of(process.pid())) {
      middle = child;
      for (const pid_t grandchild : children_of(child)) helper = grandchild;
    }
  }
  ASSERT_GT(helper, 0);
  std::this_thread::sleep_for(50ms);  // until it has become cryored
  process.send(SIGKILL);
  EXPECT_TRUE(gone_within_two_seconds(middle));
  EXPECT_TRUE(gone_within_two_seconds(helper));
}

TEST_F(PluginTest, SaysSoWhenItsHelperIsKilled) {
  Process process(hanging());
  const pid_t helper = helper_of(process);
  ASSERT_GT(helper, 0);
  kill(helper, SIGKILL);
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("ended by signal 9 (Killed)"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("memory"), std::string::npos) << outcome.err;
}

TEST_F(PluginTest, KeepsTheMpiLaunchersVariablesFromItsHelper) {
  Invocation invocation = hanging();
  invocation.environment.merge(std::map<std::string, std::string>{{"OMPI_COMM_WORLD_RANK", "1"},
                                                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"},
                                                                  {"PMIX_RANK", "1"},
                                                                  {"PMI_RANK", "1"},
                                                                  {"HYDRA_CONTROL_FD", "7"},
                                                                  {"CUDA_VISIBLE_DEVICES", "0"}});
  Process process(invocation);
  const pid_t helper = helper_of(process);
  ASSERT_GT(helper, 0);
  const std::string environment = read_file("/proc/" + std::to_string(helper) + "/environ");
  for (const char* name : {"OMPI_", "PMIX_", "PMI_", "HYDRA_"})
    EXPECT_EQ(environment.find(name), std::string::npos) << name;
  EXPECT_NE(environment.find(std::string("CUDA_VISIBLE_DEVICES=0")), std::string::npos);
  EXPECT_NE(environment.find(std::string("CRYORED_LOCAL_RANKS=3")), std::string::npos);
}

TEST_F(PluginTest, TwoRanksAtTheSameTime) {
  files.write();
  RequestFiles second = files;
  second.stem = "run_it004_half2_class001";
  second.write();
  Process first(call({"--prior", "gaussian"}));
  const Outcome outcome = run(std::vector<std::string>{plugin(), "--prior", "gaussian", second.star()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(first.wait().code, 0);
  EXPECT_EQ(read_mrc_data(files.result()), read_mrc_data(second.result())) << "same input, same map";
}

}  // namespace
}  // namespace cryored_test
