// The watcher in this process, with an engine that computes nothing: who takes a request, and when it is let go.

#include "daemon/watcher.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>

#include "core/base/atomic_file.hpp"
#include "daemon/claim.hpp"
#include "daemon/exchange.hpp"
#include "daemon/file_request.hpp"
#include "tests/cli/process.hpp"
#include "tests/daemon/fake_engine.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

/// Somebody who waits for a map: writes its request again and again.
class Caller {
 public:
  Caller(std::string star, std::vector<std::string> words, int protocol = protocol_version) : star_(std::move(star)) {
    request_.protocol = protocol;
    request_.nonce = random_digits(32);
    request_.words = {fs::path(star_).filename().string()};
    request_.words.insert(request_.words.end(), words.begin(), words.end());
    thread_ = std::thread([this] {
      for (; !stop_; usleep(20'000)) {
        ++request_.beat;
        base::write_text_atomically(request_file(star_), to_text(request_));
      }
    });
  }
  ~Caller() { leave(); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  const std::string& nonce() const { return request_.nonce; }
  std::string answer_name(int generation = 0) const { return answer_file(star_, request_.nonce, generation); }
  FileAnswer answer(int generation = 0) const {
    const auto text = read_small_file(answer_name(generation));
    return (text ? parse_answer(*text) : std::nullopt).value_or(FileAnswer());
  }
  /// Of any generation, once it has that state (or after 20 s).
  FileAnswer wait(const std::string& state) const {
    for (int i = 0; i < 2000; ++i, usleep(10'000))
      for (int generation = 0; generation <= 9; ++generation)
        if (const FileAnswer one = answer(generation); one.state == state) return one;
    return {};
  }
  void stop_beating() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void leave() {
    stop_beating();
    unlink(request_file(star_).c_str());
  }

 private:
  std::string star_;
  FileRequest request_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// A daemon without the rest.
struct Half {
  explicit Half(const WatchOptions& options)
      : queue(engine, {}),
        watcher(
            queue, options,
            [this](const Request&, const std::string& star, std::uint64_t, const std::string&) {
              FilesLook look;
              look.state = state;
              look.text = "the files are not good. Remedy: make them good";
              look.stamp = "same";
              look.result = star + ".mrc";
              return look;
            },
            [this](const std::string& event, const Json&) {
              overtaken += event == "watch.overtaken";
              refused += event == "watch.refused";
              answered += event == "watch.answered";
            }) {}
  std::atomic<FilesLook::State> state{FilesLook::State::complete};
  std::atomic<int> overtaken{0}, refused{0}, answered{0};
  FakeEngine engine{{"cpu"}};
  Queue queue;
  Watcher watcher;
};

class WatcherTest : public testing::Test {
 protected:
  WatchOptions options() const {
    WatchOptions options;
    options.folders = {fs::canonical(scratch.path()).string()};
    options.settle = 0.01;
    options.uid = getuid();
    return options;
  }
  std::string star(const std::string& name = "x") const { return scratch / (name + ".star"); }
  static bool soon(const std::function<bool()>& is_so) {
    for (int i = 0; i < 2000 && !is_so(); ++i) usleep(10'000);
    return is_so();
  }
  ScratchFolder scratch;
};

TEST_F(WatcherTest, EachRequestGoesToOneOfSeveral) {
  std::vector<std::unique_ptr<Half>> halves;
  for (int i = 0; i < 3; ++i) {
    halves.push_back(std::make_unique<Half>(options()));
    halves.back()->engine.release_all();
  }
  constexpr int count = 12;
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < count; ++i) {
    const std::string name = "map" + std::to_string(i);
    callers.push_back(std::make_unique<Caller>(star(name), std::vector<std::string>{name}));
  }
  for (int i = 0; i < count; ++i) {
    const FileAnswer answer = callers[static_cast<std::size_t>(i)]->wait("done");
    EXPECT_EQ(answer.exit, 0);
    EXPECT_EQ(answer.out, "map" + std::to_string(i) + " done\n");
  }
  std::size_t started = 0;
  for (auto& half : halves) started += half->engine.started().size();
  EXPECT_EQ(started, std::size_t{count});
  callers.clear();
  EXPECT_TRUE(soon([&] { return scratch.names().empty(); })) << "answers go with their requests";
}

TEST_F(WatcherTest, ARequestThatNobodyWaitsForIsLeftAlone) {
  const Half half(options());
  FileRequest request;
  request.nonce = random_digits(32);
  request.words = {"x.star", "map"};
  base::write_text_atomically(request_file(star()), to_text(request));
  usleep(500'000);
  EXPECT_EQ(highest_generation(star(), request.nonce), -1);
}

TEST_F(WatcherTest, ItBeatsWhileTheComputationLasts) {
  WatchOptions quick = options();
  quick.silence = 0.5;  // a beat every 0.1 s
  Half half(quick);
  const Caller caller(star(), {"map"});
  half.engine.wait_started(1);
  const std::uint64_t before = caller.wait("heartbeat").beat;
  EXPECT_TRUE(soon([&] { return caller.answer().beat >= before + 3; }));
  EXPECT_EQ(caller.answer().note, "computes on fake cpu");
  half.engine.release_all();
  EXPECT_EQ(caller.wait("done").exit, 0);
}

TEST_F(WatcherTest, WhoeverIsOvertakenStops) {
  Half half(options());
  const Caller caller(star(), {"map"});
  half.engine.wait_started(1);
  FileAnswer other;
  other.nonce = caller.nonce();
  other.state = "accepted";
  ASSERT_TRUE(create_exclusively(caller.answer_name(1), to_text(other)));
  EXPECT_TRUE(soon([&] { return half.overtaken == 1 && half.queue.idle(); }));
  const std::uint64_t beat = caller.answer().beat;
  usleep(300'000);
  EXPECT_EQ(caller.answer().beat, beat) << "nothing more is written by the first";
  // The other one ends it.
  other.state = "done";
  base::write_text_atomically(caller.answer_name(1), to_text(other));
  usleep(200'000);
  EXPECT_EQ(half.engine.started().size(), 1u);
}

TEST_F(WatcherTest, WhoeverLeftIsFollowedAtOnce) {
  auto first = std::make_unique<Half>(options());
  const Caller caller(star(), {"map"});
  first->engine.wait_started(1);
  Half second(options());
  first->watcher.finish();
  EXPECT_EQ(caller.answer(0).state, "left");
  EXPECT_EQ(second.engine.wait_started(1).size(), 1u);
  second.engine.release_all();
  EXPECT_EQ(caller.wait("done").exit, 0);
  EXPECT_EQ(caller.answer(1).state, "done");
}

// A folder in its place stands for a full disk.
TEST_F(WatcherTest, AnAnswerThatCannotBeWrittenIsOwedWhileItsCallerLives) {
  WatchOptions quick = options();
  quick.silence = 2;
  Half half(quick);
  Caller first(star("a"), {"a"}), second(star("b"), {"b"});
  for (const Caller* caller : {&first, &second}) {
    ASSERT_EQ(caller->wait("heartbeat").state, "heartbeat");
    ASSERT_TRUE(soon([&] {
      unlink(caller->answer_name().c_str());
      return fs::create_directory(caller->answer_name()) || fs::is_directory(caller->answer_name());
    })) << "it beats in between";
  }
  half.engine.release_all();
  ASSERT_TRUE(soon([&] { return half.answered == 2; }));
  usleep(300'000);
  EXPECT_TRUE(half.watcher.holds());
  fs::remove(first.answer_name());
  EXPECT_EQ(first.wait("done").exit, 0);
  usleep(300'000);
  EXPECT_TRUE(half.watcher.holds()) << "the other one's";
  second.stop_beating();
  EXPECT_TRUE(soon([&] { return !half.watcher.holds(); }));
}

TEST_F(WatcherTest, AWithdrawnRequestIsCancelled) {
  Half half(options());
  Caller caller(star(), {"map"});
  half.engine.wait_started(1);
  caller.leave();
  EXPECT_TRUE(soon([&] { return half.queue.idle() && scratch.names().empty(); }));
}

TEST_F(WatcherTest, AnotherRequestForTheSameStarReplacesIt) {
  Half half(options());
  Caller caller(star(), {"first"});
  half.engine.wait_started(1);
  caller.stop_beating();  // killed: its request stays
  const Caller next(star(), {"second"});
  EXPECT_EQ(half.engine.wait_started(2).back(), "second@cpu");
  EXPECT_TRUE(soon([&] { return !exists(caller.answer_name()); }));
  half.engine.release_all();
  EXPECT_EQ(next.wait("done").out, "second done\n");
}

TEST_F(WatcherTest, ACallerThatFallsSilentIsGivenUpAndMayComeBack) {
  WatchOptions quick = options();
  quick.silence = 0.5;
  Half half(quick);
  Caller caller(star(), {"map"});
  half.engine.wait_started(1);
  caller.stop_beating();
  EXPECT_EQ(caller.wait("left").note, "the caller gave no sign of life");
  EXPECT_TRUE(soon([&] { return half.queue.idle(); }));
  auto request = *parse_request(*read_small_file(request_file(star())));
  ++request.beat;
  base::write_text_atomically(request_file(star()), to_text(request));
  EXPECT_EQ(half.engine.wait_started(2).size(), 2u) << "it was only stopped";
  EXPECT_TRUE(exists(caller.answer_name(1)));
}

TEST_F(WatcherTest, WhatNobodyEndsIsAnError) {
  const Caller caller(star(), {"map"});
  FileAnswer left;
  left.nonce = caller.nonce();
  left.state = "left";
  for (int generation = 0; generation < 8; ++generation)
    ASSERT_TRUE(create_exclusively(caller.answer_name(generation), to_text(left)));
  Half half(options());
  const FileAnswer answer = caller.wait("done");
  EXPECT_EQ(answer.exit, 1);
  EXPECT_NE(answer.err.find("did not end it"), std::string::npos) << answer.err;
  EXPECT_TRUE(half.engine.started().empty());
}

TEST_F(WatcherTest, FilesThatAreRefusedOrNeverComplete) {
  WatchOptions quick = options();
  quick.patience = 0.3;
  Half half(quick);
  half.state = FilesLook::State::refused;
  const Caller refused(star("a"), {"map"});
  EXPECT_EQ(refused.wait("done").err, "cryored: error: the files are not good. Remedy: make them good\n");
  half.state = FilesLook::State::incomplete;
  const Caller incomplete(star("b"), {"map"});
  const FileAnswer answer = incomplete.wait("done");
  EXPECT_EQ(answer.exit, 1);
  EXPECT_NE(answer.err.find("--watch-patience"), std::string::npos) << answer.err;
  EXPECT_TRUE(half.engine.started().empty());
  half.state = FilesLook::State::complete;
  half.engine.release_all();
  const Caller complete(star("c"), {"map"});
  EXPECT_EQ(complete.wait("done").exit, 0);
}

TEST_F(WatcherTest, AnotherUsersRequestIsLeftToADaemonOfThatUser) {
  WatchOptions others = options();
  ++others.uid;
  Half stranger(others);
  const Caller caller(star(), {"map"});
  ASSERT_TRUE(soon([&] { return stranger.refused == 1; }));
  usleep(300'000);
  EXPECT_EQ(highest_generation(star(), caller.nonce()), -1) << "not claimed";
  Half own(options());
  own.engine.release_all();
  EXPECT_EQ(caller.wait("done").exit, 0);
  EXPECT_EQ(stranger.refused, 1) << "said once";
  EXPECT_TRUE(stranger.engine.started().empty());
}

TEST_F(WatcherTest, AnotherProtocolIsAnsweredWhenNobodyWhoSpeaksItHasComeFirst) {
  WatchOptions patient = options();
  patient.others_first = 0.6;
  const Half half(patient);
  const Caller caller(star(), {"map"}, protocol_version + 1);
  usleep(300'000);
  EXPECT_EQ(highest_generation(star(), caller.nonce()), -1) << "a daemon that speaks it may come yet";
  const FileAnswer answer = caller.wait("done");
  EXPECT_EQ(answer.exit, 1);
  EXPECT_NE(answer.err.find("protocol: found 2"), std::string::npos) << answer.err;
  // One that is there is not disturbed.
  const Caller served(star("y"), {"map"}, protocol_version + 1);
  FileAnswer other;
  other.nonce = served.nonce();
  other.state = "accepted";
  ASSERT_TRUE(create_exclusively(served.answer_name(), to_text(other)));
  usleep(1'000'000);
  EXPECT_EQ(highest_generation(star("y"), served.nonce()), 0);
}

TEST_F(WatcherTest, ARequestIsWantedUntilItIsWithdrawnOrTakenOver) {
  FileRequest request;
  request.nonce = random_digits(32);
  request.words = {"x.star", "map"};
  request.job_root_levels = 1;
  request.environment = {{"CRYORED_LAMBDA", "1"}, {"LD_PRELOAD", "evil.so"}};
  base::write_text_atomically(request_file(star()), to_text(request));
  const PlacedRequest placed{request, request_file(star()), star(), scratch.path()};
  const Request asked = to_compute(placed, 1);
  EXPECT_EQ(asked.attempt, 2);
  EXPECT_EQ(asked.cwd, fs::path(scratch.path()).parent_path());
  EXPECT_EQ(asked.words, (std::vector<std::string>{fs::path(scratch.path()).filename().string() + "/x.star", "map"}));
  EXPECT_EQ(asked.environment, (std::map<std::string, std::string>{{"CRYORED_LAMBDA", "1"}}));
  EXPECT_TRUE(asked.wanted());
  write_file(answer_file(star(), request.nonce, 2), "");
  EXPECT_FALSE(asked.wanted()) << "taken over";
  fs::remove(answer_file(star(), request.nonce, 2));
  EXPECT_TRUE(asked.wanted());
  FileRequest other = request;
  other.nonce = random_digits(32);
  base::write_text_atomically(request_file(star()), to_text(other));
  EXPECT_FALSE(asked.wanted()) << "another request";
  fs::remove(request_file(star()));
  EXPECT_FALSE(asked.wanted()) << "withdrawn";
  EXPECT_EQ(elsewhere(placed, getuid()).find("owner"), std::string::npos);
  base::write_text_atomically(request_file(star()), to_text(request));
  EXPECT_EQ(elsewhere(placed, getuid()), "");
  EXPECT_EQ(refusal(placed, "here"), "");
  EXPECT_NE(elsewhere(placed, getuid() + 1).find("owner: found user "), std::string::npos);
}

}  // namespace
}  // namespace cryored_test
