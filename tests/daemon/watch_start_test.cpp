// How watching daemons are started, replaced by an upgrade and stopped: real processes.

#include <unistd.h>

#include "tests/daemon/watch_fixture.hpp"

namespace cryored_test {
namespace {

TEST_F(WatchTest, InTheBackgroundTheFoldersAreTheStarters) {
  files.write();
  Invocation call = daemon_call("a");
  call.words.back() = fs::path(scratch.path()).filename();
  call.words.insert(call.words.begin() + 2, "--background");
  call.folder = fs::path(scratch.path()).parent_path();
  const Outcome started = run(call);
  ASSERT_EQ(started.code, 0) << started.err;
  EXPECT_EQ(run(ask()).code, 0);
  EXPECT_TRUE(exists(files.result()));
  call.words = {cryored(), "daemon", "--stop"};
  EXPECT_EQ(run(call).code, 0);
  EXPECT_TRUE(wait_for("a", "daemon.left"));
}

TEST_F(WatchTest, WhoIsToWatchDoesNotLeaveItToADaemonThatWasNotAsked) {
  Invocation first = daemon_call("a");
  first.words = {cryored(), "daemon", "--device", "cpu", "--log", log_file("a")};
  const Process daemon(first);
  ASSERT_TRUE(wait_for("a", "daemon.started"));
  Invocation second = daemon_call("b");
  second.environment["CRYORED_RUNTIME_DIR"] = elsewhere / "run-a";
  for (const char* where : {"--foreground", "--background"}) {
    if (where == std::string("--background")) second.words.insert(second.words.begin() + 2, where);
    const Outcome outcome = run(second);
    EXPECT_EQ(outcome.code, 1) << outcome.out;
    EXPECT_NE(outcome.err.find("folders to watch: found default, whose daemon (pid " + std::to_string(daemon.pid())),
              std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("cryored daemon --stop"), std::string::npos) << outcome.err;
  }
  first.words.insert(first.words.end(), {"--metrics-port", "9"});
  EXPECT_EQ(run(first).code, 1);
}

/// A copy of the program, in a place where it can be replaced as an upgrade does.
class Upgraded : public WatchTest {
 protected:
  Upgraded() { install(); }
  void install() const {
    fs::create_directories(elsewhere / "up/bin");
    fs::copy_file(cryored(), program() + ".new");
    fs::rename(program() + ".new", program());
  }
  std::string program() const { return elsewhere / "up/bin/cryored"; }
  Invocation stop(std::vector<std::string> words = {}) const {
    Invocation call = daemon_call("a");
    call.words = {program(), "daemon", "--stop"};
    call.words.insert(call.words.end(), words.begin(), words.end());
    return call;
  }
};

TEST_F(Upgraded, AWatchingDaemonDrainsAndLeaves) {
  files.write();
  Invocation call = daemon_call("a", {"--watch-poll", "0.2"});
  call.words[0] = program();
  Process daemon(call);
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Process caller(ask(lasting("3")));
  ASSERT_TRUE(wait_for("a", "request.started"));
  fs::remove(program());
  usleep(1'500'000);
  EXPECT_TRUE(events("a", "daemon.leaving").empty()) << "as long as there is no other";
  install();
  ASSERT_TRUE(wait_for("a", "daemon.leaving"));
  EXPECT_EQ(events("a", "daemon.leaving")[0]["why"], "its program was replaced: " + program());
  EXPECT_EQ(caller.wait().code, 0) << "what runs is ended";
  EXPECT_EQ(daemon.wait().code, 0);
}

TEST_F(Upgraded, StopReachesTheOldDaemonAndNamesOthers) {
  Invocation call = daemon_call("a");
  call.words = {program(), "daemon", "--device", "cpu", "--log", log_file("a")};
  Process old(call);
  ASSERT_TRUE(wait_for("a", "daemon.started"));
  install();
  call.environment["CUDA_VISIBLE_DEVICES"] = "7";
  Process other(call);
  ASSERT_TRUE(wait_for("a", "daemon.started", 2));
  const std::string pid = "pid " + std::to_string(other.pid());
  const Outcome stopped = run(stop());
  EXPECT_EQ(stopped.code, 0) << stopped.err;
  EXPECT_NE(stopped.out.find(" leaves\n"), std::string::npos) << stopped.out;
  EXPECT_NE(stopped.out.find(pid), std::string::npos) << "the other one is named: " << stopped.out;
  EXPECT_EQ(old.wait().code, 0);
  const Outcome none = run(stop());
  EXPECT_EQ(none.code, 1) << none.out;
  EXPECT_NE(none.err.find(pid), std::string::npos) << none.err;
  EXPECT_NE(none.err.find("--stop --all"), std::string::npos) << none.err;
  EXPECT_EQ(run(stop({"--all"})).code, 0);
  EXPECT_EQ(other.wait().code, 0);
  EXPECT_EQ(run(stop()).out.rfind("no daemon default-", 0), 0u);
}

TEST_F(WatchTest, WrongFoldersAreMisuse) {
  const auto start = [&](std::vector<std::string> words) {
    Invocation invocation;
    invocation.words = {cryored(), "daemon"};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    invocation.environment["CRYORED_RUNTIME_DIR"] = elsewhere / "run";
    return run(invocation);
  };
  EXPECT_EQ(start({"--watch"}).code, 2);
  EXPECT_EQ(start({scratch.path()}).code, 2);
  const Outcome missing = start({"--watch", scratch / "none"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.err.find("folder of --watch"), std::string::npos) << missing.err;
}

}  // namespace
}  // namespace cryored_test
