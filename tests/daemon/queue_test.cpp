// Order, memory, cancelling: the queue with an engine whose runs the tests let go.

#include "daemon/queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/daemon/fake_engine.hpp"

namespace cryored_test {
namespace {

using Names = std::vector<std::string>;

class QueueTest : public testing::Test {
 protected:
  void start(const Names& devices, const QueueOptions& options = {}) {
    engine = std::make_unique<FakeEngine>(devices);
    start(options);
  }
  void start(const QueueOptions& options) {
    queue = std::make_unique<Queue>(*engine, options,
                                    [this](const std::string& event, const Json&) { log.push_back(event); });
  }
  std::shared_ptr<Ears> submit(const Names& words) {
    Request request;
    request.id = words.at(1);
    request.words = words;
    const auto ears = std::make_shared<Ears>();
    ticket = queue->submit(request, ears);
    return ears;
  }
  /// Submits and waits until it has been examined, so that the order of arrival is certain.
  std::shared_ptr<Ears> line_up(const Names& words, int ahead) {
    const auto ears = submit(words);
    EXPECT_TRUE(ears->wait_for("queued " + std::to_string(ahead))) << words.at(1);
    return ears;
  }

  std::vector<std::string> log;
  std::unique_ptr<FakeEngine> engine;
  std::unique_ptr<Queue> queue;
  Queue::Ticket ticket = 0;
};

TEST_F(QueueTest, ARequestIsComputedAndItsCallerHearsAll) {
  start({"cpu"});
  EXPECT_TRUE(queue->idle());
  const auto a = submit({"job", "a"});
  engine->wait_started(1);
  EXPECT_FALSE(queue->idle());
  EXPECT_EQ(queue->snapshot().devices[0].running, "a");
  engine->release("a");
  const Names heard = a->wait();
  EXPECT_EQ(heard, (Names{"queued 0", "started cpu", "done 0"}));
  EXPECT_EQ(a->outcome().out, "a done\n");
  const Snapshot now = queue->snapshot();
  EXPECT_EQ(now.counters.done, 1u);
  EXPECT_EQ(now.jobs.at(0).job, "job");
  EXPECT_EQ(now.jobs.at(0).recent.at(0).facts.map, "a");
  queue.reset();
  EXPECT_EQ(log, (Names{"request.submitted", "request.started", "request.done"}));
}

TEST_F(QueueTest, JobsTakeTurnsWhoeverHasMoreWaiting) {
  start({"cpu"});
  const auto first = submit({"A", "a1"});
  engine->wait_started(1);
  std::vector<std::shared_ptr<Ears>> all{first, line_up({"A", "a2"}, 1), line_up({"A", "a3"}, 2),
                                         line_up({"A", "a4"}, 3)};
  all.push_back(line_up({"B", "b1"}, 1));  // B never had a turn
  all.push_back(line_up({"B", "b2"}, 3));
  EXPECT_TRUE(all[1]->wait_for("queued 2")) << "told that B's came before it";
  engine->release_all();
  for (const auto& one : all) one->wait();
  EXPECT_EQ(engine->started(), (Names{"a1@cpu", "b1@cpu", "a2@cpu", "b2@cpu", "a3@cpu", "a4@cpu"}));
}

TEST_F(QueueTest, BothHalvesAreOneTurn) {
  start({"cpu"});
  const auto plug = submit({"P", "plug"});
  engine->wait_started(1);
  std::vector<std::shared_ptr<Ears>> all;
  all.push_back(line_up({"A", "a-it2", "half=1", "it=2"}, 1));
  all.push_back(line_up({"B", "b1", "half=1", "it=7"}, 2));
  all.push_back(line_up({"B", "b2", "half=2", "it=7"}, 3));
  all.push_back(line_up({"A", "a2", "half=2", "it=2"}, 2));
  engine->release_all();
  for (const auto& one : all) one->wait();
  EXPECT_EQ(engine->started(), (Names{"plug@cpu", "a-it2@cpu", "a2@cpu", "b1@cpu", "b2@cpu"}));
}

TEST_F(QueueTest, APartnerThatComesLaterStillBelongsToTheTurn) {
  start({"cpu"});
  const auto a1 = submit({"A", "a1", "half=1", "it=2"});
  engine->wait_started(1);
  const auto b = line_up({"B", "b"}, 1);
  const auto a2 = line_up({"A", "a2", "half=2", "it=2"}, 1);
  const auto next = line_up({"A", "next", "half=1", "it=3"}, 3);
  engine->release_all();
  for (const auto& one : {a1, b, a2, next}) one->wait();
  EXPECT_EQ(engine->started(), (Names{"a1@cpu", "a2@cpu", "b@cpu", "next@cpu"}));
}

TEST_F(QueueTest, TwoHalvesRunAtOnceOnTwoDevices) {
  start({"cuda:0", "cuda:1"});
  const auto one = submit({"A", "h1", "half=1", "it=5"}), two = submit({"A", "h2", "half=2", "it=5"});
  Names started = engine->wait_started(2);
  std::sort(started.begin(), started.end());
  ASSERT_EQ(started.size(), 2u) << "before either was let go";
  EXPECT_NE(started[0].substr(3), started[1].substr(3));
  engine->release_all();
  one->wait(), two->wait();
}

TEST_F(QueueTest, ARequestRunsWhereItMay) {
  engine = std::make_unique<FakeEngine>(Names{"cuda:0", "cpu"});
  engine->device(1).only_when_asked = true;
  start(QueueOptions{});
  engine->release_all();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(submit({"A", "g" + std::to_string(i)})->wait_for("started cuda:0"));
  EXPECT_TRUE(submit({"A", "c", "device=cpu"})->wait_for("started cpu"));
}

TEST_F(QueueTest, WhatDoesNotFitNowWaitsAndIsNotOvertaken) {
  QueueOptions options;
  options.memory_limit = 100;
  start({"cuda:0", "cuda:1"}, options);
  const auto first = submit({"A", "first", "memory=60"});
  engine->wait_started(1);
  const auto large = line_up({"B", "large", "memory=80", "least=10"}, 1);
  const auto small = line_up({"C", "small", "memory=10"}, 2);
  EXPECT_EQ(engine->started().size(), 1u) << "large waits although it could be split, small behind it";
  engine->release("first");
  engine->wait_started(3);
  EXPECT_EQ(queue->snapshot().memory.reserved, 90u);
  engine->release_all();
  for (const auto& one : {first, large, small}) EXPECT_EQ(one->wait().back(), "done 0");
  // large and small begin at once on two devices: which of their threads comes first is chance.
  std::vector<std::uint64_t> limits = engine->limits();
  ASSERT_EQ(limits.size(), 3u);
  std::sort(limits.begin() + 1, limits.end());
  EXPECT_EQ(limits, (std::vector<std::uint64_t>{60, 10, 80}));
  EXPECT_EQ(queue->snapshot().memory.reserved, 0u);
  EXPECT_EQ(queue->snapshot().counters.split, 0u);
}

TEST_F(QueueTest, WhatNeedsMoreThanAllIsSplitAndWhatNeverFitsIsRefused) {
  QueueOptions options;
  options.memory_limit = 1ull << 30;
  start({"cpu"}, options);
  engine->release_all();
  EXPECT_EQ(submit({"A", "split", "memory=2147483648", "least=1000"})->wait().back(), "done 0");
  EXPECT_EQ(engine->limits().at(0), 1ull << 30);
  const auto never = submit({"A", "never", "memory=8589934592", "least=3221225472"});
  EXPECT_EQ(never->wait(), (Names{"done 1"}));
  for (const char* part : {"--memory-limit", "1.00 GiB", "3.00 GiB", "8.00 GiB", "never", "Remedy"})
    EXPECT_NE(never->outcome().err.find(part), std::string::npos) << part << " in " << never->outcome().err;
  EXPECT_EQ(queue->snapshot().counters.split, 1u);
  EXPECT_EQ(queue->snapshot().counters.refused, 1u);
}

TEST_F(QueueTest, CancelWhereverItIs) {
  start({"cpu"});
  const auto running = submit({"A", "running"});
  const auto its_ticket = ticket;
  engine->wait_started(1);
  const auto waiting = line_up({"A", "waiting"}, 1);
  queue->cancel(ticket);
  EXPECT_EQ(waiting->wait(), (Names{"queued 1", "cancelled"}));
  queue->cancel(its_ticket);
  EXPECT_EQ(running->wait().back(), "cancelled");
  queue->cancel(its_ticket);  // once more harms nobody
  engine->release_all();
  EXPECT_EQ(submit({"A", "later"})->wait().back(), "done 0");
  EXPECT_EQ(queue->snapshot().counters.cancelled, 2u);
}

TEST_F(QueueTest, ACancelledRequestThatBlockedLetsOthersGo) {
  QueueOptions options;
  options.memory_limit = 100;
  start({"cuda:0", "cuda:1"}, options);
  const auto first = submit({"A", "first", "memory=60"});
  engine->wait_started(1);
  const auto large = line_up({"B", "large", "memory=80"}, 1);
  const auto large_ticket = ticket;
  const auto small = line_up({"C", "small", "memory=10"}, 2);
  queue->cancel(large_ticket);
  EXPECT_EQ(engine->wait_started(2).size(), 2u);
  engine->release_all();
  EXPECT_EQ(small->wait().back(), "done 0");
}

TEST_F(QueueTest, AFullCardIsTriedTwice) {
  QueueOptions options;
  options.full_device_wait = 0.01;
  start({"cuda:0"}, options);
  engine->release_all();
  EXPECT_EQ(submit({"A", "once", "full=1"})->wait().back(), "done 0");
  const auto always = submit({"A", "always", "full=9"});
  EXPECT_EQ(always->wait().back(), "done 1");
  EXPECT_EQ(always->outcome().err, "cryored: error: the card is full\n");
  EXPECT_EQ(queue->snapshot().counters.device_full, 3u);
}

TEST_F(QueueTest, AFullCardsSecondTryCanBeCancelled) {
  QueueOptions options;
  options.full_device_wait = 1000;
  start({"cuda:0"}, options);
  const auto one = submit({"A", "one", "full=1"});
  engine->wait_started(1);
  queue->cancel(ticket);
  EXPECT_EQ(one->wait().back(), "cancelled");
}

TEST_F(QueueTest, ALostCardEndsWhatRunsAndGivesBackWhatWaits) {
  std::string lost;
  QueueOptions options;
  options.device_lost = [&](const std::string& message) { lost = message; };
  start({"cuda:0", "cuda:1"}, options);
  const auto one = submit({"A", "one", "lost=1", "device=cuda:0"}), other = submit({"B", "other", "device=cuda:1"});
  engine->wait_started(2);
  const auto next = line_up({"A", "next", "device=cuda:0"}, 2);
  engine->release("one");
  EXPECT_EQ(one->wait().back(), "done 1");
  EXPECT_EQ(one->outcome().err, "cryored: error: the card is lost\n");
  EXPECT_EQ(lost, one->outcome().err) << "told first";
  EXPECT_EQ(next->wait().back(), "cancelled");
  EXPECT_EQ(submit({"A", "late"})->wait(), (Names{"cancelled"}));
  engine->release("other");
  EXPECT_EQ(other->wait().back(), "done 0") << "on a card that works";
}

TEST_F(QueueTest, BadWordsAreAnsweredAsTheProgramWould) {
  start({"cpu"});
  const auto bad = submit({"A", "a", "bad=1"});
  EXPECT_EQ(bad->wait(), (Names{"done 2"}));
  EXPECT_EQ(bad->outcome().err, "cryored: error: bad words\n");
  const Snapshot all = queue->snapshot();
  ASSERT_EQ(all.jobs.size(), 1u);
  EXPECT_EQ(all.jobs[0].job, "A");
  EXPECT_EQ(all.jobs[0].failed, 1u);
  EXPECT_EQ(all.jobs[0].last_error, "cryored: error: bad words");
}

TEST_F(QueueTest, DrainingEndsWhatIsThereAndTakesNoMore) {
  start({"cpu"});
  const auto one = submit({"A", "one"});
  engine->wait_started(1);
  const auto two = line_up({"A", "two"}, 1);
  queue->stop(true);
  EXPECT_EQ(submit({"A", "late"})->wait(), (Names{"cancelled"}));
  engine->release_all();
  EXPECT_EQ(one->wait().back(), "done 0");
  EXPECT_EQ(two->wait().back(), "done 0");
}

TEST_F(QueueTest, StoppingCancelsAll) {
  start({"cpu"});
  const auto one = submit({"A", "one"}), two = submit({"A", "two"});
  engine->wait_started(1);
  queue->stop(false);
  EXPECT_EQ(one->wait().back(), "cancelled");
  EXPECT_EQ(two->wait().back(), "cancelled");
}

TEST_F(QueueTest, TooManyAreRefused) {
  QueueOptions options;
  options.longest = 2;
  start({"cpu"}, options);
  const auto one = submit({"A", "one"}), two = submit({"A", "two"}), three = submit({"A", "three"});
  EXPECT_EQ(three->wait(), (Names{"done 1"}));
  EXPECT_NE(three->outcome().err.find("2 requests wait already"), std::string::npos);
  engine->release_all();
  EXPECT_EQ(one->wait().back(), "done 0");
  EXPECT_EQ(two->wait().back(), "done 0");
}

TEST_F(QueueTest, StatusIsJsonWithWhatIsGoingOn) {
  start({"cpu"});
  const auto one = submit({"/p/A", "one", "half=1", "it=3"});
  engine->wait_started(1);
  const auto two = line_up({"/p/A", "two", "half=2", "it=3"}, 1);
  Json json = to_json(queue->snapshot());
  EXPECT_EQ(json["requests"][0]["state"], "running");
  EXPECT_EQ(json["requests"][0]["device"], "cpu");
  EXPECT_EQ(json["requests"][0]["iteration"], 3);
  EXPECT_EQ(json["requests"][1]["state"], "waiting");
  EXPECT_EQ(json["requests"][1]["ahead"], 1);
  EXPECT_EQ(json["devices"][0]["running"], "one");
  engine->release_all();
  one->wait(), two->wait();
  json = to_json(queue->snapshot());
  EXPECT_TRUE(json["requests"].empty());
  EXPECT_EQ(json["jobs"][0]["done"], 2);
  EXPECT_EQ(json["counters"]["done"], 2);
}

TEST_F(QueueTest, ManyRequestsFromManyThreads) {
  start({"cpu", "cuda:0", "cuda:1"});
  engine->release_all();
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        Request request;
        request.words = {"job" + std::to_string(t), std::to_string(t) + "." + std::to_string(i)};
        const auto ears = std::make_shared<Ears>();
        const auto its = queue->submit(request, ears);
        if (i % 7 == 3) queue->cancel(its);
        const auto heard = ears->wait();
        done += heard.back() == "done 0" || (i % 7 == 3 && heard.back() == "cancelled");
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(done, 400);
  EXPECT_TRUE(queue->snapshot().requests.empty());
}

}  // namespace
}  // namespace cryored_test
