// cryored status and cryored top where no daemon runs, and what top does to the terminal.

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

Invocation call(const ScratchFolder& scratch, std::vector<std::string> words) {
  Invocation invocation;
  invocation.words = {cryored()};
  invocation.words.insert(invocation.words.end(), words.begin(), words.end());
  invocation.environment["CRYORED_RUNTIME_DIR"] = scratch / "run";
  return invocation;
}

TEST(Status, WithoutADaemonIsOne) {
  const ScratchFolder scratch;
  const Outcome table = run(call(scratch, {"status"}));
  EXPECT_EQ(table.code, 1);
  EXPECT_NE(table.out.find("no daemon of yours runs on this machine (" + scratch / "run"), std::string::npos)
      << table.out;
  const Outcome json = run(call(scratch, {"status", "--json"}));
  EXPECT_EQ(json.code, 1);
  const auto parsed = nlohmann::json::parse(json.out);
  EXPECT_EQ(parsed["schema"], "cryored-daemons");
  EXPECT_EQ(parsed["daemons"].size(), 0u);
}

TEST(Status, WhatADeadDaemonLeftIsStale) {
  const ScratchFolder scratch;
  ASSERT_EQ(mkdir((scratch / "run").c_str(), 0700), 0);
  write_file(scratch / "run/default-0123456789abcdef.json", "{\"pid\": 12}");
  write_file(scratch / "run/default-0123456789abcdef.lock", "");
  const Outcome outcome = run(call(scratch, {"status"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.out.find("default-0123456789abcdef: stale (pid 12)"), std::string::npos) << outcome.out;
}

TEST(Status, ARuntimeFolderOpenToOthersIsRefused) {
  const ScratchFolder scratch;
  ASSERT_EQ(mkdir((scratch / "run").c_str(), 0755), 0);
  ASSERT_EQ(chmod((scratch / "run").c_str(), 0755), 0);
  const Outcome outcome = run(call(scratch, {"status"}));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("mode 0755"), std::string::npos) << outcome.err;
}

TEST(Daemon, ItsNameMayComeFromWhereCallersTakeIt) {
  const ScratchFolder scratch;
  Invocation invocation = call(scratch, {"daemon", "--stop"});
  invocation.folder = scratch.path();
  write_file(scratch / "cryored.conf", "daemon-name = file\n");
  EXPECT_NE(run(invocation).out.find("no daemon file-"), std::string::npos);
  invocation.environment["CRYORED_DAEMON_NAME"] = "variable";
  EXPECT_NE(run(invocation).out.find("no daemon variable-"), std::string::npos);
  invocation.words.insert(invocation.words.end(), {"--daemon-name", "word"});
  EXPECT_NE(run(invocation).out.find("no daemon word-"), std::string::npos);
}

TEST(Daemon, LimitsThatCannotBeReadAreMisuseAndNameTheirSource) {
  const ScratchFolder scratch;
  Invocation invocation = call(scratch, {"daemon", "--stop"});
  invocation.environment["CRYORED_MEMORY_LIMIT"] = "12 GB";
  const Outcome variable = run(invocation);
  EXPECT_EQ(variable.code, 2);
  EXPECT_NE(variable.err.find("environment variable CRYORED_MEMORY_LIMIT: memory-limit: found 12 GB; allowed: a size"),
            std::string::npos)
      << variable.err;
  write_file(scratch / "cryored.conf", "gpus = 0;1\n");
  invocation = call(scratch, {"reconstruct", "a.star"});
  invocation.folder = scratch.path();
  const Outcome file = run(invocation);
  EXPECT_EQ(file.code, 2);
  EXPECT_NE(file.err.find("cryored.conf:1: gpus: found 0;1"), std::string::npos) << file.err;
}

TEST(Top, PrintsPlainTextWhereThereIsNoTerminal) {
  const ScratchFolder scratch;
  const Outcome outcome = run(call(scratch, {"top", "--count", "2", "--interval", "0.1"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  const auto first = outcome.out.find("cryored top, "), second = outcome.out.find("cryored top, ", first + 1);
  EXPECT_NE(second, std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("cryored top, ", second + 1), std::string::npos) << "as often as asked";
}

/// cryored top in a terminal of 40 columns and 5 lines.
class TopInATerminal : public testing::Test {
 protected:
  void start(const std::vector<std::string>& words) {
    winsize size{5, 40, 0, 0};
    std::vector<std::string> all{cryored(), "top"};
    all.insert(all.end(), words.begin(), words.end());
    std::vector<char*> arguments;
    for (auto& word : all) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const std::string folder = scratch / "run";
    child = forkpty(&terminal, nullptr, nullptr, &size);
    ASSERT_GE(child, 0);
    if (child == 0) {
      setenv("CRYORED_RUNTIME_DIR", folder.c_str(), 1);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
  }
  ~TopInATerminal() override {
    if (child > 0) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    if (terminal >= 0) close(terminal);
  }
  /// Reads until `part` has come, or the other side is gone.
  void read_until(const std::string& part) {
    while (seen.find(part) == std::string::npos) {
      pollfd end{terminal, POLLIN, 0};
      ASSERT_GT(poll(&end, 1, 60000), 0) << "nothing more came after: " << seen;
      char buffer[4096];
      const ssize_t count = read(terminal, buffer, sizeof buffer);
      if (count <= 0) return;
      seen.append(buffer, static_cast<std::size_t>(count));
    }
  }
  /// Waits for the end; the wait status.
  int ended() {
    read_until("\x1b[?1049l");
    int status = 0;
    waitpid(child, &status, 0);
    child = -1;
    return status;
  }
  bool echoes() const {
    termios now{};
    return tcgetattr(terminal, &now) == 0 && (now.c_lflag & ECHO) && (now.c_lflag & ICANON);
  }
  void expect_restored() const {
    EXPECT_NE(seen.find("\x1b[?1049h\x1b[?25l"), std::string::npos);
    EXPECT_NE(seen.find("\x1b[?25h\x1b[?1049l"), std::string::npos) << "cursor and screen are back";
    EXPECT_TRUE(echoes());
  }

  ScratchFolder scratch;
  pid_t child = -1;
  int terminal = -1;
  std::string seen;
};

TEST_F(TopInATerminal, KeyQEndsItAndRestores) {
  start({"--interval", "3600"});
  read_until("\x1b[J");
  EXPECT_FALSE(echoes());
  // Lines are cut to 40 columns.
  EXPECT_NE(seen.find("no daemon of yours runs on this machine~"), std::string::npos) << seen;
  ASSERT_EQ(write(terminal, "q", 1), 1);
  const int status = ended();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect_restored();
}

TEST_F(TopInATerminal, ControlCEndsItAndRestores) {
  start({"--interval", "3600"});
  read_until("\x1b[J");
  ASSERT_EQ(write(terminal, "\x03", 1), 1);
  const int status = ended();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect_restored();
}

TEST_F(TopInATerminal, ASignalEndsItAndRestores) {
  start({"--interval", "3600"});
  read_until("\x1b[J");
  ASSERT_EQ(kill(child, SIGTERM), 0);
  const int status = ended();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  expect_restored();
}

TEST_F(TopInATerminal, CountEndsItAndRestores) {
  start({"--interval", "0.1", "--count", "3"});
  const int status = ended();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  expect_restored();
}

}  // namespace
}  // namespace cryored_test
