// The plugin's side of a request through files, against a thread that answers as a daemon would.

#include "plugin/through_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "daemon/exchange.hpp"
#include "tests/cli/process.hpp"

namespace cryored::plugin {
namespace {

class ThroughFiles : public testing::Test {
 protected:
  ThroughFiles() : before_(std::filesystem::current_path()) {
    std::filesystem::create_directories(scratch_ / "Jobs Ä/job001");
    cryored_test::write_file(scratch_ / "Jobs Ä/job001/x.star", "data_\n");
    std::filesystem::current_path(scratch_.path());
    settings_.words = {"--lambda", "0.5", "Jobs Ä/job001/x.star"};
    settings_.via_files_timeout = 1;
  }
  ~ThroughFiles() override { std::filesystem::current_path(before_); }
  std::string file(const std::string& ending) const { return scratch_ / "Jobs Ä/job001/x.cryored-" + ending; }
  daemon::FileRequest wait_for_request() const {
    for (;;) {
      if (const auto text = daemon::read_small_file(file("request.json")))
        if (const auto request = daemon::parse_request(*text)) return *request;
      usleep(5000);
    }
  }
  void answer(const std::string& nonce, const std::string& state, std::uint64_t beat, int generation = 0) const {
    daemon::FileAnswer answer;
    answer.nonce = nonce;
    answer.state = state;
    answer.exit = 0;
    answer.out = "a line\n";
    answer.beat = beat;
    answer.result = "map.mrc";
    answer.result_size = 5;
    write_text_atomically(answer_name(nonce, generation), daemon::to_text(answer));
  }
  std::string answer_name(const std::string& nonce, int generation = 0) const {
    return file("answer-" + nonce + "-" + std::to_string(generation) + ".json");
  }
  bool only_the_star_is_left() const {
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(scratch_ / "Jobs Ä/job001"))
      files += entry.path().filename() != "map.mrc";
    return files == 1;
  }
  std::filesystem::path before_;
  cryored_test::ScratchFolder scratch_;
  Settings settings_;
};

TEST_F(ThroughFiles, WaitsAsLongAsTheDaemonBeats) {
  daemon::FileRequest seen;
  std::thread daemon_side([&] {
    seen = wait_for_request();
    answer(std::string(32, 'f'), "done", 1);  // of somebody else: must not be believed
    usleep(300'000);
    for (std::uint64_t beat = 1; beat < 9; ++beat) {
      answer(seen.nonce, beat == 1 ? "accepted" : "heartbeat", beat);
      usleep(250'000);
    }
    cryored_test::write_file(scratch_ / "Jobs Ä/job001/map.mrc", "a map");
    answer(seen.nonce, "done", 9);
    unlink(answer_name(std::string(32, 'f')).c_str());
  });
  const Waiter waiter;
  const FileOutcome outcome = compute_through_files(settings_, waiter);
  daemon_side.join();
  ASSERT_TRUE(outcome.done) << outcome.reason;
  EXPECT_EQ(outcome.exit, 0);
  EXPECT_EQ(outcome.out, "a line\n");
  EXPECT_EQ(seen.words, (std::vector<std::string>{"x.star", "--lambda", "0.5"}));
  EXPECT_EQ(seen.job_root_levels, 2);
  EXPECT_EQ(seen.star_size, 6u);
  EXPECT_TRUE(only_the_star_is_left());
}

TEST_F(ThroughFiles, WithoutADaemonTheRequestIsWithdrawn) {
  answer(std::string(32, 'a'), "done", 1);  // stale
  const Waiter waiter;
  const FileOutcome outcome = compute_through_files(settings_, waiter);
  EXPECT_FALSE(outcome.done);
  EXPECT_NE(outcome.reason.find("--via-files-timeout"), std::string::npos) << outcome.reason;
  EXPECT_TRUE(only_the_star_is_left());
}

TEST_F(ThroughFiles, ADaemonThatFallsSilentIsGivenUp) {
  std::thread daemon_side([&] { answer(wait_for_request().nonce, "accepted", 1); });
  const Waiter waiter;
  const FileOutcome outcome = compute_through_files(settings_, waiter);
  daemon_side.join();
  EXPECT_FALSE(outcome.done);
  EXPECT_NE(outcome.reason.find("next sign of life"), std::string::npos) << outcome.reason;
}

TEST_F(ThroughFiles, TheCallerBeats) {
  settings_.via_files_timeout = 1;
  std::uint64_t first = 0, last = 0;
  std::thread daemon_side([&] {
    first = wait_for_request().beat;
    usleep(800'000);
    last = wait_for_request().beat;
  });
  const Waiter waiter;
  compute_through_files(settings_, waiter);
  daemon_side.join();
  EXPECT_GE(last, first + 2);
}

TEST_F(ThroughFiles, ADaemonThatTookOverMayEndIt) {
  std::thread daemon_side([&] {
    const std::string nonce = wait_for_request().nonce;
    answer(nonce, "accepted", 1, 0);
    answer(nonce, "accepted", 1, 1);
    usleep(100'000);
    cryored_test::write_file(scratch_ / "Jobs Ä/job001/map.mrc", "a map");
    answer(nonce, "done", 2, 1);
  });
  const Waiter waiter;
  EXPECT_TRUE(compute_through_files(settings_, waiter).done);
  daemon_side.join();
  EXPECT_TRUE(only_the_star_is_left());
}

TEST_F(ThroughFiles, AMapThatIsNotSeenHereIsWaitedFor) {
  std::thread daemon_side([&] { answer(wait_for_request().nonce, "done", 1); });
  const Waiter waiter;
  const FileOutcome outcome = compute_through_files(settings_, waiter);
  daemon_side.join();
  EXPECT_FALSE(outcome.done);
  EXPECT_NE(outcome.reason.find("map.mrc, 5 bytes, to be seen on this host"), std::string::npos) << outcome.reason;
}

TEST_F(ThroughFiles, ARequestThatSomebodyRemovesIsCancelled) {
  settings_.via_files_timeout = 60;
  std::thread user([&] {
    wait_for_request();
    for (int i = 0; i < 100; ++i, usleep(20'000)) unlink(file("request.json").c_str());
  });
  const Waiter waiter;
  EXPECT_THROW(compute_through_files(settings_, waiter), SystemError);
  user.join();
}

TEST_F(ThroughFiles, AStarOutsideTheWorkingDirectoryIsNotForAnotherHost) {
  std::filesystem::current_path(scratch_ / "Jobs Ä");
  settings_.words = {"../other/../Jobs Ä/job001/x.star"};
  std::filesystem::create_directory(scratch_ / "other");
  std::filesystem::current_path(scratch_ / "other");
  const Waiter waiter;
  EXPECT_NE(compute_through_files(settings_, waiter).reason.find("outside the working directory"), std::string::npos);
}

}  // namespace
}  // namespace cryored::plugin
