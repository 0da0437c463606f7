// The plugin's side of the socket against a stand-in for the daemon: a process that holds the lock, listens, and says
// what the test wants.

#include "plugin/conversation.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/cli/process.hpp"

namespace cryored::plugin {
namespace {

const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
std::string chunk(const std::string& text) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}

class ConversationTest : public testing::Test {
 protected:
  ConversationTest() {
    address_ = {scratch_.path(), "test-0123456789abcdef"};
    settings_.daemon_name = "test";
    settings_.connect_timeout = 10;
    settings_.heartbeat_timeout = 3;
  }
  ~ConversationTest() override {
    if (child_ <= 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  /// Starts the stand-in; `serve` gets the connection after the request has come in.
  void stand_in(const std::function<void(int)>& serve) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    child_ = fork();
    if (child_ == 0) {
      const daemon::DaemonLock lock(address_);
      const sockaddr_un name = daemon::socket_address(address_.socket());
      const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
      if (bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 || listen(listener, 8) != 0)
        _exit(1);
      if (write(ready[1], "x", 1) != 1) _exit(1);
      const int fd = accept(listener, nullptr, nullptr);
      char bytes[65536];
      if (read(fd, bytes, sizeof bytes) <= 0) _exit(1);
      serve(fd);
      _exit(0);
    }
    char byte;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
  }
  static void put(int fd, const std::string& text) {
    if (write(fd, text.data(), text.size()) < 0) _exit(2);
  }
  Answer ask() {
    const Waiter waiter;
    Link link(address_, "/nonexistent", settings_, waiter);
    const Answer answer = converse(link, *request_body({"a.star"}, 1), settings_, waiter);
    link.make_sure_it_is_over(answer.kind == Answer::Kind::silent, settings_, waiter);
    return answer;
  }

  cryored_test::ScratchFolder scratch_;
  daemon::Address address_;
  Settings settings_;
  pid_t child_ = -1;
};

TEST_F(ConversationTest, DoneCarriesWhatTheCallPrints) {
  stand_in([](int fd) {
    put(fd, head + chunk("{\"event\":\"queued\",\"ahead\":1}\n{\"event\":\"unheard of\"}\n"));
    put(fd, chunk("{\"event\":\"started\",\"device\":\"CPU\"}\n"));
    put(fd, chunk("{\"event\":\"done\",\"exit\":2,\"stdout\":\"o\",\"stderr\":\"e\"}\n") + "0\r\n\r\n");
  });
  const Answer answer = ask();
  ASSERT_EQ(answer.kind, Answer::Kind::done) << answer.reason;
  EXPECT_EQ(answer.exit, 2);
  EXPECT_EQ(answer.out, "o");
  EXPECT_EQ(answer.err, "e");
}

TEST_F(ConversationTest, AConnectionThatEndsEarlyIsALostDaemon) {
  stand_in([](int fd) { put(fd, head + chunk("{\"event\":\"started\",\"device\":\"CPU\"}\n")); });
  const Answer answer = ask();
  EXPECT_EQ(answer.kind, Answer::Kind::lost);
  EXPECT_EQ(answer.reason, "the connection ended while waiting for the map");
}

TEST_F(ConversationTest, SilenceEnds) {
  stand_in([](int) {
    for (;;) pause();
  });
  const Answer answer = ask();
  EXPECT_EQ(answer.kind, Answer::Kind::silent);
  EXPECT_EQ(answer.reason, "it said nothing for 3.0 s (--heartbeat-timeout) while waiting for its first answer");
  EXPECT_EQ(kill(child_, 0), 0) << "a stranger's process is not ended";
}

TEST_F(ConversationTest, HeartbeatsKeepItWaiting) {
  stand_in([](int fd) {
    put(fd, head);
    for (int i = 0; i < 5; ++i) {
      put(fd, chunk("{\"event\":\"heartbeat\",\"seconds\":1}\n"));
      sleep(1);
    }
    put(fd, chunk("{\"event\":\"done\",\"exit\":0}\n"));
  });
  EXPECT_EQ(ask().kind, Answer::Kind::done) << "5 s, with a heartbeat time-out of 3 s";
}

TEST_F(ConversationTest, AnotherVersionRefuses) {
  stand_in(
      [](int fd) { put(fd, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 22\r\n\r\n{\"error\":\"protocol 2\"}"); });
  const Answer answer = ask();
  EXPECT_EQ(answer.kind, Answer::Kind::refused);
  EXPECT_NE(answer.reason.find("another version of the protocol"), std::string::npos);
}

TEST_F(ConversationTest, GarbageIsALostDaemon) {
  stand_in([](int fd) { put(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n"); });
  EXPECT_EQ(ask().kind, Answer::Kind::lost);
}

TEST_F(ConversationTest, ASocketThatIsLeftOverIsNoDaemon) {
  stand_in([](int) {});
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
  child_ = -1;
  const Waiter waiter;
  try {
    const Link link(address_, "/nonexistent", settings_, waiter);
    ADD_FAILURE() << "connected to nobody";
  } catch (const Unreachable& reason) {
    EXPECT_NE(std::string(reason.what()).find("/nonexistent/cryored"), std::string::npos) << reason.what();
  }
}

TEST_F(ConversationTest, TextThatIsNoUtf8HasNoBody) {
  EXPECT_FALSE(request_body({"a\xff.star"}, 1));
  EXPECT_FALSE(request_body({std::string(1 << 20, 'a')}, 1));
}

}  // namespace
}  // namespace cryored::plugin
