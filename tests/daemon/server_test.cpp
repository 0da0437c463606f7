// The socket with a fake engine behind it: the protocol, and clients that misbehave.

#include "daemon/server.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "tests/daemon/fake_engine.hpp"
#include "tests/daemon/http_client.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

std::string body_of(const std::string& map, const std::string& extra = "", int protocol = 1) {
  return "{\"protocol\": " + std::to_string(protocol) + ", \"id\": \"0123456789abcdef\", \"words\": [\"job\", \"" +
         map + "\"], \"cwd\": \"/tmp\", \"environment\": {}" + extra + "}";
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    address = {folder, "k"};
    options.uid = getuid();
    options.heartbeat = 0.02;
    options.stop_time = 5;
  }
  ~ServerTest() override {
    if (server) {
      server->stop(false);
      thread.join();
    }
    server.reset();
    queue.reset();
  }
  void start() {
    queue = std::make_unique<Queue>(engine, QueueOptions{});
    server = std::make_unique<Server>(*queue, address, options);
    thread = std::thread([this] { ended_well = server->run(); });
  }
  std::string answer(const std::string& bytes) {
    Client client(address.socket());
    client.send(bytes);
    return client.read_all();
  }

  cryored::TemporaryFolder temporary;
  const std::string folder = temporary.path().string();
  Address address;
  ServerOptions options;
  FakeEngine engine{{"cpu"}};
  std::unique_ptr<Queue> queue;
  std::unique_ptr<Server> server;
  std::thread thread;
  bool ended_well = false;
};

TEST_F(ServerTest, ARequestIsAnsweredWithItsEvents) {
  start();
  Client client(address.socket());
  client.post("/v1/reconstruct", body_of("a"));
  // A heartbeat may come before the computation starts, too; here is one that comes during it.
  const std::string first = client.read_until("{\"event\":\"started\",\"device\":\"fake cpu\"}");
  client.read_until("heartbeat");
  EXPECT_EQ(first.rfind("HTTP/1.1 200 OK\r\n", 0), 0u);
  EXPECT_NE(first.find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_NE(first.find("{\"event\":\"started\",\"device\":\"fake cpu\"}"), std::string::npos) << first;
  engine.release_all();
  const std::string all = client.read_all();
  EXPECT_NE(all.find("{\"event\":\"done\",\"exit\":0,\"stdout\":\"a done\\n\",\"stderr\":\"\"}\n\r\n0\r\n\r\n"),
            std::string::npos)
      << all;
}

TEST_F(ServerTest, TwoRequestsWaitForEachOther) {
  start();
  Client one(address.socket()), two(address.socket());
  one.post("/v1/reconstruct", body_of("one"));
  one.read_until("started");
  two.post("/v1/reconstruct", body_of("two"));
  EXPECT_NE(two.read_until("\"ahead\":1").find("\"ahead\":1"), std::string::npos);
  engine.release_all();
  EXPECT_NE(one.read_all().find("one done"), std::string::npos);
  EXPECT_NE(two.read_all().find("two done"), std::string::npos);
}

TEST_F(ServerTest, AClientThatHangsUpCancelsItsRequest) {
  start();
  Client one(address.socket()), two(address.socket());
  one.post("/v1/reconstruct", body_of("one"));
  one.read_until("started");
  two.post("/v1/reconstruct", body_of("two"));
  two.read_until("\"ahead\":1");
  one.hang_up();
  EXPECT_NE(two.read_until("started").find("started"), std::string::npos) << "without anybody letting one go";
  EXPECT_EQ(server->snapshot().counters.cancelled, 1u);
  engine.release_all();
  two.read_all();
}

TEST_F(ServerTest, WrongRequestsAreRefused) {
  start();
  const auto status = [](const std::string& text) { return text.substr(0, std::min<std::size_t>(12, text.size())); };
  EXPECT_EQ(status(answer("GET /nothing HTTP/1.1\r\n\r\n")), "HTTP/1.1 404");
  EXPECT_EQ(status(answer("DELETE /v1/status HTTP/1.1\r\n\r\n")), "HTTP/1.1 405");
  EXPECT_EQ(status(answer("\x16\x03\x01 garbage\r\n\r\n")), "HTTP/1.1 400");
  EXPECT_EQ(status(answer("GET / HTTP/1.1\r\nX: " + std::string(20000, 'a') + "\r\n\r\n")), "HTTP/1.1 431");
  EXPECT_EQ(status(answer("POST /v1/reconstruct HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n")), "HTTP/1.1 413");
  const auto post = [&](const std::string& body) {
    Client client(address.socket());
    client.post("/v1/reconstruct", body);
    return client.read_all();
  };
  EXPECT_EQ(status(post("not json")), "HTTP/1.1 400");
  EXPECT_EQ(status(post("{}")), "HTTP/1.1 400");
  EXPECT_EQ(status(post(std::string(500000, '['))), "HTTP/1.1 400");
  EXPECT_EQ(status(post(body_of("a", "", 2))), "HTTP/1.1 426");
  EXPECT_EQ(status(post(body_of("a", ", \"attempt\": 0"))), "HTTP/1.1 400");
  for (const char* umask : {"22", "\"\"", "\"089\"", "\"00022\"", "\"-22\""})
    EXPECT_EQ(status(post(body_of("a", std::string(", \"umask\": ") + umask))), "HTTP/1.1 400") << umask;
  EXPECT_NE(post("{\"protocol\":1,\"id\":\"0123456789abcdef\",\"words\":[],\"cwd\":\"relative\",\"environment\":{}}")
                .find("cwd: allowed: an absolute path"),
            std::string::npos);
  EXPECT_NE(
      post("{\"protocol\":1,\"id\":\"0123456789abcdef\",\"words\":[],\"cwd\":\"/\",\"environment\":{\"PATH\":\"\"}}")
          .find("PATH is none of the variables that travel"),
      std::string::npos);
  EXPECT_GE(server->snapshot().counters.bad_requests, 10u);
  EXPECT_EQ(status(answer("GET /v1/status HTTP/1.1\r\n\r\n")), "HTTP/1.1 200") << "it still serves";
}

TEST_F(ServerTest, ASlowClientIsCutOffAndHoldsNobodyUp) {
  options.request_time = 0.2;
  start();
  Client slow(address.socket());
  slow.send("POST /v1/reconstruct HTT");
  EXPECT_EQ(answer("GET /v1/status HTTP/1.1\r\n\r\n").rfind("HTTP/1.1 200", 0), 0u);
  EXPECT_EQ(slow.read_all().rfind("HTTP/1.1 408", 0), 0u);
  EXPECT_EQ(server->snapshot().counters.timeouts, 1u);
}

TEST_F(ServerTest, AnotherUserIsCutOff) {
  options.uid = getuid() + 1;
  start();
  EXPECT_EQ(answer("GET /v1/status HTTP/1.1\r\n\r\n"), "");
  EXPECT_EQ(server->snapshot().counters.foreign_peers, 1u);
}

TEST_F(ServerTest, MoreClientsThanItTakesWaitTheirTurn) {
  options.most_connections = 2;
  options.request_time = 0.2;
  start();
  const Client a(address.socket()), b(address.socket());
  EXPECT_EQ(answer("GET /v1/status HTTP/1.1\r\n\r\n").rfind("HTTP/1.1 200", 0), 0u) << "when the silent ones are gone";
}

TEST_F(ServerTest, DrainingEndsWhatIsThereThenItLeaves) {
  start();
  Client client(address.socket());
  client.post("/v1/reconstruct", body_of("a"));
  client.read_until("started");
  Client stop(address.socket());
  stop.post("/v1/stop", "{\"drain\": true}");
  EXPECT_EQ(stop.read_all().rfind("HTTP/1.1 200", 0), 0u);
  while (fs::exists(address.socket())) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(Client(address.socket()).connected());
  engine.release_all();
  EXPECT_NE(client.read_all().find("a done"), std::string::npos);
  thread.join();
  EXPECT_TRUE(ended_well);
  server.reset();
}

TEST_F(ServerTest, StoppingEndsTheStreamWithoutDone) {
  start();
  Client client(address.socket());
  client.post("/v1/reconstruct", body_of("a"));
  client.read_until("started");
  server->stop(false);
  EXPECT_EQ(client.read_all().find("done"), std::string::npos);
  thread.join();
  EXPECT_TRUE(ended_well);
  server.reset();
}

TEST_F(ServerTest, ALostCardEndsItAndWhoWaitsFindsNobodyThere) {
  QueueOptions with_leave;
  with_leave.device_lost = [this](const std::string& message) { server->stop(true, message); };
  queue = std::make_unique<Queue>(engine, with_leave);
  server = std::make_unique<Server>(*queue, address, options);
  thread = std::thread([this] { ended_well = server->run(); });
  Client one(address.socket()), two(address.socket());
  one.post("/v1/reconstruct",
           "{\"protocol\": 1, \"id\": \"0123456789abcdef\", \"words\": [\"job\", \"a\", "
           "\"lost=1\"], \"cwd\": \"/tmp\", \"environment\": {}}");
  one.read_until("started");
  two.post("/v1/reconstruct", body_of("b"));
  two.read_until("\"ahead\":1");
  engine.release_all();
  EXPECT_NE(one.read_all().find("the card is lost"), std::string::npos);
  EXPECT_EQ(two.read_all().find("done"), std::string::npos) << "as when a daemon is lost: it asks the next one";
  EXPECT_FALSE(fs::exists(address.socket()));
  thread.join();
  EXPECT_TRUE(ended_well);
  server.reset();
}

TEST_F(ServerTest, IdleItLeavesAndSaysSo) {
  options.idle_timeout = 0.3;
  bool told = false;
  options.leaving = [&] { told = true; };
  start();
  thread.join();
  EXPECT_TRUE(told);
  EXPECT_FALSE(fs::exists(address.socket()));
  server.reset();
}

TEST_F(ServerTest, ALostSocketEndsIt) {
  start();
  fs::remove(address.socket());
  thread.join();
  EXPECT_TRUE(ended_well);
  server.reset();
}

TEST_F(ServerTest, ASuccessorsSocketIsNotRemoved) {
  start();
  engine.release_all();
  server->stop(false);
  thread.join();
  Queue other(engine, QueueOptions{});
  const Server successor(other, address, options);  // its file may have the number of the one that is gone
  server.reset();
  EXPECT_TRUE(fs::exists(address.socket()));
}

TEST_F(ServerTest, ASocketMadeAnewIsNotItsOwn) {
  start();
  // Many file systems give the number of a removed file to the next one, unless somebody holds it open.
  fs::remove(address.socket());
  std::ofstream(address.socket()) << "";
  thread.join();
  EXPECT_TRUE(ended_well);
  server.reset();
  EXPECT_TRUE(fs::exists(address.socket()));
}

TEST_F(ServerTest, ATouchedSocketIsStillItsOwn) {
  start();
  usleep(20'000);
  ASSERT_EQ(chmod(address.socket().c_str(), 0700), 0);
  ASSERT_EQ(utimensat(AT_FDCWD, address.socket().c_str(), nullptr, 0), 0);
  usleep(600'000);  // it looks four times a second
  EXPECT_TRUE(Client(address.socket()).connected());
}

TEST_F(ServerTest, WhatItsStarterIgnoresItIgnores) {
  signal(SIGHUP, SIG_IGN);
  start();
  kill(getpid(), SIGHUP);
  usleep(300'000);
  EXPECT_TRUE(Client(address.socket()).connected());
  signal(SIGHUP, SIG_DFL);
}

TEST_F(ServerTest, MetricsOnAPortAndNothingElse) {
  options.metrics = [](const Snapshot& all) { return "jobs " + std::to_string(all.jobs.size()) + "\n"; };
  options.metrics_port = 0;
  start();
  const int port = server->metrics_port();
  ASSERT_GT(port, 0);
  const auto ask = [&](const std::string& bytes) {
    Client client(port);
    client.send(bytes);
    return client.read_all();
  };
  const std::string metrics = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(metrics.rfind("HTTP/1.1 200 OK\r\n", 0), 0u) << metrics;
  EXPECT_NE(metrics.find("text/plain; version=0.0.4"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("\r\n\r\njobs 0\n"), std::string::npos) << metrics;
  EXPECT_EQ(ask("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").rfind("HTTP/1.1 404", 0), 0u);
  EXPECT_EQ(ask("POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n").rfind("HTTP/1.1 405", 0), 0u);
  EXPECT_EQ(ask("\x01\x02garbage\r\n\r\n"), "");
  EXPECT_EQ(ask("GET /metrics HTTP/1.1\r\nX: " + std::string(100000, 'x') + "\r\n\r\n"), "");
  {
    // More silent clients than it serves at a time: those that go make room.
    std::vector<std::unique_ptr<Client>> silent;
    for (int i = 0; i < 20; ++i) silent.push_back(std::make_unique<Client>(port));
    silent.erase(silent.begin(), silent.begin() + 10);
    EXPECT_NE(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").find("jobs 0"), std::string::npos);
  }
  // A daemon that leaves gives the port back at once, whatever still runs.
  Client(address.socket()).post("/v1/reconstruct", body_of("a"));
  server->stop(false);
  for (int i = 0; i < 500 && Client(port).connected(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(Client(port).connected());
}

TEST_F(ServerTest, APortThatIsTakenIsAnError) {
  options.metrics = [](const Snapshot&) { return std::string(); };
  options.metrics_port = 0;
  start();
  Queue other(engine, QueueOptions{});
  ServerOptions same = options;
  same.metrics_port = server->metrics_port();
  try {
    const Server second(other, {folder, "l"}, same);
    FAIL() << "two on one port";
  } catch (const cryored::SystemError& error) {
    EXPECT_NE(std::string(error.what()).find("--metrics-port"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(Address{folder, "l"}.socket()));
}

TEST_F(ServerTest, APortThatMayWaitIsTakenWhenItIsFree) {
  options.metrics = [](const Snapshot&) { return std::string("metrics\n"); };
  options.metrics_port = 0;
  start();
  const int port = server->metrics_port();
  FakeEngine other_engine{{"cpu"}};
  Queue other(other_engine, QueueOptions{});
  ServerOptions same = options;
  same.metrics_port = port;
  same.metrics_port_source = "some.conf:7";
  same.metrics_port_may_wait = true;
  same.metrics_port_retry = 0.05;
  std::mutex mutex;
  std::vector<std::string> events;
  Server second(other, {folder, "l"}, same, [&](const std::string& event, const Json&) {
    const std::lock_guard hold(mutex);
    events.push_back(event);
  });
  std::thread running([&] { second.run(); });
  Snapshot::Self self = second.snapshot().self;
  EXPECT_EQ(self.metrics_port, 0);
  EXPECT_EQ(self.metrics_problem.rfind("some.conf:7: metrics-port of 127.0.0.1: found " + std::to_string(port), 0), 0u)
      << self.metrics_problem;
  {
    Client client(folder + "/l.sock");
    client.get("/v1/status");
    EXPECT_NE(client.read_all().find("\"metrics_port\":null,\"metrics_problem\":\"some.conf:7"), std::string::npos);
  }
  server->stop(false);
  for (int i = 0; i < 2000 && self.metrics_port == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    self = second.snapshot().self;
  }
  EXPECT_EQ(self.metrics_port, port);
  EXPECT_EQ(self.metrics_problem, "");
  Client client(port);
  client.get("/metrics");
  EXPECT_NE(client.read_all().find("\r\n\r\nmetrics\n"), std::string::npos);
  second.stop(false);
  running.join();
  EXPECT_EQ(std::count(events.begin(), events.end(), "metrics_port.taken"), 1) << "not at each try";
  EXPECT_EQ(std::count(events.begin(), events.end(), "metrics_port.open"), 1);
}

}  // namespace
}  // namespace cryored_test
