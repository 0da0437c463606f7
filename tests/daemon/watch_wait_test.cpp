// relion_scripts/cryored-wait.sh: what cryored-reconstruct --via-files does, without anything installed.

#include <signal.h>

#include "tests/daemon/watch_fixture.hpp"

namespace cryored_test {
namespace {

class WaitScript : public WatchTest, public testing::WithParamInterface<const char*> {
 protected:
  /// As RELION does it: the variable's text and the STAR in a line for the shell; a folder without spaces, therefore.
  Invocation relion_call(const std::string& words) const {
    Invocation invocation;
    invocation.words = {
        "sh", "-c",
        std::string("exec ") + GetParam() + " '" CRYORED_TEST_SCRIPTS "/cryored-wait.sh' " + words + " " + star()};
    invocation.folder = scratch.path();
    invocation.environment["PATH"] = "/usr/bin:/bin";
    return invocation;
  }
  std::string star() const { return files.written_folder + "/" + files.stem + "_external_reconstruct.star"; }
  void SetUp() override {
    if (!exists(std::string("/bin/") + std::string(GetParam()).substr(0, std::string(GetParam()).find(' '))))
      GTEST_SKIP() << "no " << GetParam() << " here";
    files.written_folder = "Refine3D/Läufe/job001";
    files.folder = scratch / files.written_folder;
    fs::create_directories(files.folder);
    files.write();
  }
};

TEST_P(WaitScript, HelpTellsHowToSetIt) {
  Invocation call;
  call.words = {"sh", "-c", std::string("exec ") + GetParam() + " '" CRYORED_TEST_SCRIPTS "/cryored-wait.sh' --help"};
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_NE(outcome.out.find("export RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE="), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("CRYORED_VIA_FILES_TIMEOUT"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find('#'), std::string::npos) << outcome.out;
}

TEST_P(WaitScript, TheMapIsThatOfReconstruct) {
  Invocation alone;
  alone.words = {cryored(), "reconstruct", "--prior", "gaussian", "--pixel-size", "3.0", star()};
  alone.folder = scratch.path();
  ASSERT_EQ(run(alone).code, 0);
  const std::string map = read_file(files.result());
  fs::remove(files.result());
  const Process daemon = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Invocation call = relion_call("--prior gaussian --pixel-size '3.0'");
  call.environment["CRYORED_FSC_THRESHOLD"] = "0.25";
  call.environment["CDPATH"] = scratch.path();
  call.environment["CRYORED_ODD"] = "a \"quote\", a \\ and\na second line";
  const Outcome outcome = run(call);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.rfind("cryored: run_it004_half1_class001: denoiser did not run (--prior gaussian)", 0), 0u)
      << outcome.out;
  EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1) << "one whole line: " << outcome.out;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(read_file(files.result()), map);
  EXPECT_EQ(record()["served_by"]["pid"], daemon.pid());
  EXPECT_EQ(record()["options"]["pixel-size"]["source"], "command line");
  EXPECT_EQ(record()["options"]["fsc-threshold"]["source"], "environment variable CRYORED_FSC_THRESHOLD");
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_P(WaitScript, ErrorsAndExitCodesArePassedOn) {
  const Process daemon = start_daemon("a");
  const Outcome outcome = run(relion_call("--lamda 1"));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("cryored: error: "), std::string::npos);
  EXPECT_NE(outcome.err.find("did you mean --lambda?"), std::string::npos) << outcome.err;
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_P(WaitScript, WithoutADaemonItSaysWhatItWaitedFor) {
  Invocation call = relion_call("--prior gaussian");
  call.environment["CRYORED_VIA_FILES_TIMEOUT"] = "1";
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("waited 1 s (CRYORED_VIA_FILES_TIMEOUT) for a daemon that watches " + files.folder),
            std::string::npos)
      << outcome.err;
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_P(WaitScript, ASignalCancels) {
  const Process daemon = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Process caller(relion_call("--prior red --weights builtin:wait=3600"));
  ASSERT_TRUE(wait_for("a", "request.started"));
  caller.send(SIGTERM);
  const Outcome outcome = caller.wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("cancelled"), std::string::npos) << outcome.err;
  EXPECT_TRUE(wait_for("a", "request.cancelled"));
  EXPECT_FALSE(exists(files.result()));
  for (int i = 0; i < 500 && !leftovers().empty(); ++i) usleep(10'000);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_P(WaitScript, ItEndsWithItsCaller) {
  // Both as system() may do it: a shell that waits, and one that becomes the script.
  for (const char* shell : {"", "exec "}) {
    Invocation call = relion_call("");
    const std::string line = shell + call.words.back().substr(std::string("exec ").size());
    call.environment["LINE"] = line + (*shell ? "" : "; exit $?");
    call.words = {"sh", "-c", "sh -c \"$LINE\"; true"};
    Process caller(call);
    ASSERT_TRUE(wait_until_there(request_file()));
    caller.send(SIGKILL);
    const Outcome outcome = caller.wait();  // returns when the script has let go of the pipes
    EXPECT_NE(outcome.err.find("the process that called this has ended"), std::string::npos) << outcome.err;
    EXPECT_LT(outcome.seconds, 30);
    EXPECT_EQ(leftovers(), std::vector<std::string>{});
  }
}

TEST_P(WaitScript, OfTwoForOneMapTheYoungerGoesOn) {
  Process first(relion_call("--prior gaussian"));
  ASSERT_TRUE(wait_until_there(request_file()));
  Process second(relion_call("--prior gaussian"));
  const Outcome outcome = first.wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("another call has put its request in its place"), std::string::npos) << outcome.err;
  EXPECT_TRUE(exists(request_file())) << "that of the other one";
  const Process daemon = start_daemon("a");
  EXPECT_EQ(second.wait().code, 0);
  EXPECT_TRUE(exists(files.result()));
}

TEST_P(WaitScript, PathsInPiecesAreRefused) {
  Invocation call = relion_call("");
  call.words.back() += " piece";
  const Outcome outcome = run(call);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("piece: allowed: a file that ends in .star"), std::string::npos) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(Shells, WaitScript, testing::Values("dash", "bash --posix"), [](const auto& shell) {
  return std::string(shell.param).substr(0, std::string(shell.param).find(' '));
});

}  // namespace
}  // namespace cryored_test
