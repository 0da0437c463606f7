// Requests through files (docs/watching.md): daemons and callers that are killed or stopped at random points, files
// that arrive late, disks that are full.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "tests/faults/faults.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

class FaultsFiles : public FaultTest {
 protected:
  /// A daemon of its own name and runtime folder that watches the scratch folder.
  std::unique_ptr<Process> watching(int number, std::vector<std::string> more = {}, long file_size_limit = -1) const {
    Invocation invocation = daemon({"--watch-silence", "5"});
    invocation.words.insert(invocation.words.end(), more.begin(), more.end());
    invocation.words.insert(invocation.words.end(), {"--watch", scratch.path()});
    *(std::find(invocation.words.begin(), invocation.words.end(), "--log") + 1) = log_of(number);
    invocation.environment["CRYORED_RUNTIME_DIR"] = runtime / ("run" + std::to_string(number));
    invocation.file_size_limit = file_size_limit;
    return std::make_unique<Process>(invocation);
  }
  std::string log_of(int number) const { return runtime / ("log" + std::to_string(number)); }
  int count_events(int daemons, const std::string& event) const {
    int count = 0;
    for (int number = 0; number < daemons; ++number) {
      if (!exists(log_of(number))) continue;
      const std::string text = read_file(log_of(number)), sought = "\"event\":\"" + event + "\"";
      for (std::size_t at = 0; (at = text.find(sought, at)) != std::string::npos; ++at) ++count;
    }
    return count;
  }
  bool wait_for(int number, const std::string& event, int count = 1) const {
    for (int i = 0; i < 4000; ++i, sleep_ms(5)) {
      const std::string text = exists(log_of(number)) ? read_file(log_of(number)) : "";
      int seen = 0;
      for (std::size_t at = 0; (at = text.find("\"event\":\"" + event + "\"", at)) != std::string::npos; ++at) ++seen;
      if (seen >= count) return true;
    }
    return false;
  }
  Invocation caller(const RequestFiles& request) const {
    Invocation invocation = plugin_call({"--via-files"});
    invocation.words.back() = request.star();
    invocation.folder = scratch.path();
    invocation.timeout = 90;
    return invocation;
  }
  struct Tally {
    int wrong = 0, failed = 0, hung = 0, helped = 0;
  };
  void judge(const Outcome& outcome, const RequestFiles& request, Tally& tally) const {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const bool good = exists(request.result()) && read_file(request.result()) == expected;
    EXPECT_TRUE(good) << request.stem << ": " << outcome.err;
    tally.wrong += !good;
    tally.failed += outcome.code != 0;
    tally.hung += outcome.seconds >= 90;
    tally.helped += outcome.err.find("helper process") != std::string::npos;
    fs::remove(request.result());
  }
  RequestFiles partner() const {
    RequestFiles other = files;
    other.stem = "run_it004_half2_class001";
    other.write();
    return other;
  }

  /// Both half-maps at once, two daemons that race for them; each daemon is killed and started again at random.
  void daemons_killed(int pairs) {
    write_request({"--prior", "red", "--weights", "builtin:wait=0.1"});
    const RequestFiles other = partner();
    const auto own = scratch.names();
    std::vector<std::unique_ptr<Process>> daemons;
    for (int number = 0; number < 2; ++number) daemons.push_back(watching(number));
    ASSERT_TRUE(wait_for(0, "watch.started") && wait_for(1, "watch.started"));
    Tally tally;
    int kills = 0;
    for (int pair = 0; pair < pairs; ++pair) {
      Process one(caller(files)), two(caller(other));
      for (int k = between(1, 3); k > 0; --k) {
        sleep_ms(between(0, 250));
        const int victim = between(0, 1);
        auto& daemon = daemons[static_cast<std::size_t>(victim)];
        daemon.reset();  // SIGKILL
        ++kills;
        daemon = watching(victim);
      }
      judge(one.wait(), files, tally);
      judge(two.wait(), other, tally);
    }
    EXPECT_EQ(tally.helped, 0);
    fs::remove(files.record());
    fs::remove(other.record());
    EXPECT_EQ(scratch.names(), own) << "no request, answer or temporary file stays";
    report("through files: kill -9 of two daemons that watch one folder, at random points", 2L * pairs,
           std::to_string(tally.wrong) + " wrong or missing maps, " + std::to_string(tally.hung) + " hung plugins, " +
               std::to_string(tally.helped) + " computed by a helper; " + std::to_string(kills) +
               " daemons killed, requests taken up " + std::to_string(count_events(2, "watch.accepted")) + " times");
  }

  /// A daemon is stopped in the middle and goes on when another one has done its work.
  void daemons_stopped(int count) {
    write_request({"--prior", "red", "--weights", "builtin:wait=0.3"});
    const auto first = watching(0), second = watching(1);
    ASSERT_TRUE(wait_for(0, "watch.started") && wait_for(1, "watch.started"));
    Tally tally;
    for (int i = 0; i < count; ++i) {
      Process request(caller(files));
      sleep_ms(between(50, 500));
      const Process& victim = i % 2 == 0 ? *first : *second;
      victim.send(SIGSTOP);
      const Outcome outcome = request.wait();
      const std::string map = exists(files.result()) ? read_file(files.result()) : "";
      victim.send(SIGCONT);
      for (int k = 0; k < 100 && count_events(2, "watch.accepted") > count_events(2, "watch.answered") +
                                                                         count_events(2, "watch.overtaken") +
                                                                         count_events(2, "watch.withdrawn");
           ++k)
        sleep_ms(20);
      EXPECT_EQ(exists(files.result()) ? read_file(files.result()) : "", map);
      judge(outcome, files, tally);
    }
    report("through files: the daemon stopped (SIGSTOP) at a random point, and going on after another has taken over",
           count,
           std::to_string(tally.wrong) + " wrong or missing maps, " + std::to_string(tally.hung) +
               " hung plugins; requests taken up " + std::to_string(count_events(2, "watch.accepted")) +
               " times, maps published " + std::to_string(count_events(2, "request.done")) + " times");
  }

  /// Many requests at once and several daemons: each request is computed by one.
  void daemons_race(int count, int number_of_daemons) {
    write_request({"--prior", "gaussian"});
    std::vector<RequestFiles> all(static_cast<std::size_t>(count), files);
    for (int i = 0; i < count; ++i) {
      all[static_cast<std::size_t>(i)].stem = "run" + std::to_string(i) + "_it004_half1_class001";
      all[static_cast<std::size_t>(i)].write();
    }
    std::vector<std::unique_ptr<Process>> daemons, callers;
    for (int number = 0; number < number_of_daemons; ++number)
      daemons.push_back(
          watching(number, number % 2 ? std::vector<std::string>{"--watch-poll", "0.1"} : std::vector<std::string>{}));
    for (int number = 0; number < number_of_daemons; ++number) ASSERT_TRUE(wait_for(number, "watch.started"));
    for (const auto& request : all) callers.push_back(std::make_unique<Process>(caller(request)));
    Tally tally;
    for (std::size_t i = 0; i < all.size(); ++i) judge(callers[i]->wait(), all[i], tally);
    EXPECT_EQ(count_events(number_of_daemons, "request.done"), count);
    report("through files: requests at once, daemons that race for the folder", count,
           std::to_string(tally.wrong) + " wrong or missing maps, computed " +
               std::to_string(count_events(number_of_daemons, "request.done")) + " times by " +
               std::to_string(number_of_daemons) + " daemons");
  }

  /// A file of the request is cut at a random byte, and whole again later or never.
  void files_late(int count) {
    write_request({"--prior", "gaussian"});
    const auto daemon = watching(0, {"--watch-patience", "1"});
    ASSERT_TRUE(wait_for(0, "watch.started"));
    Tally tally;
    int refused = 0, late = 0;
    for (int i = 0; i < count; ++i) {
      const std::string ending[] = {"_data_real.mrc", "_data_imag.mrc", "_weight.mrc"};
      const std::string path = files.file(ending[i % 3]), whole = read_file(path);
      const bool never = i % 4 == 3;
      write_file(path, whole.substr(0, static_cast<std::size_t>(between(0, static_cast<int>(whole.size()) - 1))));
      if (i % 5 == 4) fs::remove(path);
      Process request(caller(files));
      if (never) {
        const Outcome outcome = request.wait();
        EXPECT_EQ(outcome.code, 1) << outcome.err;
        EXPECT_NE(outcome.err.find("--watch-patience"), std::string::npos) << outcome.err;
        EXPECT_FALSE(exists(files.result()));
        refused += outcome.code == 1 && !exists(files.result());
        write_file(path, whole);
        continue;
      }
      sleep_ms(between(0, 600));
      EXPECT_FALSE(exists(files.result()));
      write_file(path, whole);
      judge(request.wait(), files, tally);
      ++late;
    }
    report("through files: an MRC file missing or cut at a random byte", count,
           std::to_string(late) + " that arrived later: " + std::to_string(tally.wrong) + " wrong or missing maps; " +
               std::to_string(refused) + " that never did: an error that names the file");
  }

  void callers_killed(int count) {
    write_request({"--prior", "red", "--weights", "builtin:identity"});
    const std::string quick = options_[3];
    const auto daemon = watching(0);
    ASSERT_TRUE(wait_for(0, "watch.started"));
    int published = 0;
    for (int i = 0; i < count; ++i) {
      const int signal = std::vector<int>{SIGTERM, SIGINT, SIGKILL}[static_cast<std::size_t>(i % 3)];
      options_[3] = "builtin:wait=3600";
      Process request(caller(files));
      sleep_ms(between(0, 400));
      request.send(signal);
      request.wait();
      // The next iteration's call, or that of --continue, for the same STAR.
      options_[3] = quick;
      published += exists(files.result());
      Tally tally;
      judge(run(caller(files)), files, tally);
    }
    EXPECT_EQ(published, 0);
    report("through files: callers killed at random points (TERM, INT, KILL), the same STAR asked for again", count,
           std::to_string(published) + " maps published for the killed ones, 0 wrong or missing for the next");
  }
};
class FaultsLongFiles : public FaultsFiles {};

TEST_F(FaultsFiles, DaemonsKilled) { daemons_killed(8); }
TEST_F(FaultsLongFiles, DaemonsKilled) { daemons_killed(100); }
TEST_F(FaultsFiles, DaemonsStopped) { daemons_stopped(2); }
TEST_F(FaultsLongFiles, DaemonsStopped) { daemons_stopped(40); }
TEST_F(FaultsFiles, DaemonsRace) { daemons_race(24, 3); }
TEST_F(FaultsLongFiles, DaemonsRace) { daemons_race(64, 4); }
TEST_F(FaultsFiles, FilesLate) { files_late(12); }
TEST_F(FaultsLongFiles, FilesLate) { files_late(200); }
TEST_F(FaultsFiles, CallersKilled) { callers_killed(9); }
TEST_F(FaultsLongFiles, CallersKilled) { callers_killed(200); }

TEST_F(FaultsFiles, DiskFull) {
  write_request({"--prior", "gaussian"});
  ASSERT_GT(expected.size(), 8192u);
  const auto names = scratch.names();
  const auto daemon = watching(0, {}, 8192);  // room for the answers, none for a map
  ASSERT_TRUE(wait_for(0, "watch.started"));
  const Outcome outcome = run(caller(files));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("File too large"), std::string::npos) << outcome.err;
  EXPECT_EQ(scratch.names(), names);
  report("through files: no room for the map (file-size limit of the daemon)", 1, "an error, nothing is left behind");
}

}  // namespace
}  // namespace cryored_test
