// The plugin's side of a request through files, against a thread that answers as a daemon would.

#include "plugin/through_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/base/atomic_file.hpp"
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
  void answer(const std::string& nonce, const std::string& state, std::uint64_t beat) const {
    daemon::FileAnswer answer;
    answer.nonce = nonce;
    answer.state = state;
    answer.exit = 0;
    answer.out = "a line\n";
    answer.beat = beat;
    write_text_atomically(file("answer.json"), daemon::to_text(answer));
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
    answer(seen.nonce, "done", 9);
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
  EXPECT_FALSE(cryored_test::exists(file("request.json")));
  EXPECT_FALSE(cryored_test::exists(file("answer.json")));
}

TEST_F(ThroughFiles, WithoutADaemonTheRequestIsWithdrawn) {
  answer(std::string(32, 'a'), "done", 1);  // stale
  const Waiter waiter;
  const FileOutcome outcome = compute_through_files(settings_, waiter);
  EXPECT_FALSE(outcome.done);
  EXPECT_NE(outcome.reason.find("--via-files-timeout"), std::string::npos) << outcome.reason;
  EXPECT_FALSE(cryored_test::exists(file("request.json")));
  EXPECT_FALSE(cryored_test::exists(file("answer.json")));
}

TEST_F(ThroughFiles, ADaemonThatFallsSilentIsGivenUp) {
  std::thread daemon_side([&] { answer(wait_for_request().nonce, "accepted", 1); });
  const Waiter waiter;
  const FileOutcome outcome = compute_through_files(settings_, waiter);
  daemon_side.join();
  EXPECT_FALSE(outcome.done);
  EXPECT_NE(outcome.reason.find("next sign of life"), std::string::npos) << outcome.reason;
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
