// kill -9 of the daemon and of plugins at random points of their requests.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/faults/faults.hpp"

namespace cryored_test {
namespace {

class FaultsKills : public FaultTest {
 protected:
  /// kill -9 to every daemon, once there is one, after a random time; how many.
  int kill_daemons(const Process& request, int most_ms) {
    for (int i = 0; i < 100 && daemons().empty() && !is_zombie(request.pid()); ++i) sleep_ms(3);
    sleep_ms(between(0, most_ms));
    int killed = 0;
    for (const pid_t pid : daemons()) {
      killed += kill(pid, SIGKILL) == 0;
      killed_.insert(pid);
    }
    // They have no parent but this process, and their number would slow down each look at the processes.
    std::erase_if(killed_, [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != 0; });
    return killed;
  }
  static bool is_zombie(pid_t pid) {
    const std::string text = read_file("/proc/" + std::to_string(pid) + "/stat");
    return text.empty() || text.find(") Z ") != std::string::npos;
  }

  /// Each request goes through the plugin, which starts the daemon where there is none; meanwhile every daemon that is
  /// found gets kill -9, one to three times, at random times after it was there.
  void daemon_killed(int count) {
    write_request({"--prior", "red", "--weights", "builtin:wait=0.1"});
    int right = 0, hung = 0, failed = 0, kills = 0, repeated = 0, helped = 0, undisturbed = 0;
    for (int i = 0; i < count; ++i) {
      Invocation invocation = plugin_call();
      invocation.timeout = 60;
      Process request(invocation);
      int killed = 0;
      for (int k = between(1, 3); k > 0; --k) killed += kill_daemons(request, 130);
      const Outcome outcome = request.wait();
      kills += killed;
      hung += outcome.seconds >= 60;
      failed += outcome.code != 0;
      EXPECT_EQ(outcome.code, 0) << "request " << i << ", signal " << outcome.signal << ": " << outcome.err;
      const bool good = take_map();
      right += good;
      EXPECT_TRUE(good) << "request " << i << ": " << outcome.err;
      const bool again = outcome.err.find("repeating the request once") != std::string::npos;
      const bool helper = outcome.err.find("computing in a helper process") != std::string::npos;
      helped += helper;
      repeated += again && !helper;
      undisturbed += !again && !helper;
    }
    EXPECT_EQ(right, count);
    EXPECT_EQ(hung, 0);
    EXPECT_EQ(failed, 0);
    EXPECT_GT(kills, count / 2);
    EXPECT_GT(repeated + helped, 0) << "no kill met a request";  // which of both depends on the machine's load
    EXPECT_EQ(litter(), std::vector<std::string>{}) << "of daemons that were killed while they wrote";
    report("kill -9 of the daemon at random points of requests", count,
           std::to_string(count - right) + " wrong or missing maps, " + std::to_string(hung) + " hung plugins; " +
               std::to_string(kills) + " daemons killed; " + std::to_string(undisturbed) +
               " requests done by the first daemon, " + std::to_string(repeated) + " by another one, " +
               std::to_string(helped) + " by a helper process");
  }

  /// Two plugins at a time, as RELION's two half-maps, and a daemon that is killed again and again.
  void daemon_killed_under_pairs(int pairs) {
    write_request({"--prior", "red", "--weights", "builtin:wait=0.1"});
    RequestFiles other = files;
    other.stem = "run_it004_half2_class001";
    other.write();
    int wrong = 0, kills = 0;
    for (int i = 0; i < pairs; ++i) {
      Invocation one = plugin_call(), two = one;
      two.words.back() = other.star();
      one.timeout = two.timeout = 60;
      Process a(one), b(two);
      for (int k = between(1, 2); k > 0; --k) kills += kill_daemons(a, 120);
      const Outcome first = a.wait(), second = b.wait();
      EXPECT_EQ(first.code, 0) << first.err;
      EXPECT_EQ(second.code, 0) << second.err;
      const bool good = read_file(other.result()) == expected && take_map();
      std::filesystem::remove(other.result());
      EXPECT_TRUE(good) << i << first.err << second.err;
      wrong += !good;
    }
    report("the same with the two half-maps of an iteration at once", 2L * pairs,
           std::to_string(wrong) + " pairs with a wrong or missing map; " + std::to_string(kills) + " daemons killed");
  }

  /// Plugins that end by a signal in the middle: nothing of them is published, the next request is served.
  void plugin_killed(int count) {
    write_request({"--prior", "red", "--weights", "builtin:identity"});
    options_[3] = "builtin:wait=30";
    const auto process = start_daemon();
    int published = 0;
    for (int i = 0; i < count; ++i) {
      const int signal = std::vector<int>{SIGKILL, SIGTERM, SIGINT, SIGHUP}[static_cast<std::size_t>(i % 4)];
      Invocation invocation = plugin_call();
      invocation.timeout = 20;
      Process request(invocation);
      if (i % 2 == 0)
        for (int k = 0; k < 1000 && status()["requests"].empty(); ++k) sleep_ms(2);
      sleep_ms(between(0, 40));
      request.send(signal);
      const Outcome outcome = request.wait();
      EXPECT_EQ(outcome.signal, signal) << outcome.code << outcome.err;
      settled();
      published += exists(files.result());
    }
    EXPECT_EQ(published, 0);
    EXPECT_EQ(litter(), std::vector<std::string>{});
    options_[3] = "builtin:identity";
    EXPECT_EQ(ask()["exit"], 0) << "the queue goes on";
    EXPECT_TRUE(take_map());
    const Json counters = status()["counters"];
    EXPECT_EQ(counters["done"], 1);
    report("kill of a plugin in the middle of its request (KILL, TERM, INT, HUP)", count,
           std::to_string(published) + " maps published; " + counters["cancelled"].dump() +
               " requests cancelled (the others had not arrived), the next one served");
  }

  void many_without_a_daemon(int count) {
    write_request({"--prior", "gaussian"});
    std::vector<RequestFiles> all;
    for (int i = 0; i < count; ++i) {
      all.push_back(files);
      all.back().stem = "run" + std::to_string(i) + "_it004_half1_class001";
      all.back().write();
    }
    std::vector<std::unique_ptr<Process>> plugins;
    for (const RequestFiles& mine : all) {
      Invocation invocation = plugin_call();
      invocation.words.back() = mine.star();
      plugins.push_back(std::make_unique<Process>(invocation));
    }
    int good = 0, helped = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const Outcome outcome = plugins[i]->wait();
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      helped += outcome.err.find("helper process") != std::string::npos;
      good += read_file(all[i].result()) == expected;
    }
    EXPECT_EQ(good, count);
    EXPECT_EQ(helped, 0);
    // Those that lost the race look at the lock for 0.3 s before they leave.
    for (int i = 0; i < 1000 && daemons().size() > 1; ++i) sleep_ms(5);
    EXPECT_EQ(daemons().size(), 1u);
    report("plugins at once, and no daemon yet", count, "one daemon stays and serves all, 0 wrong or missing maps");
  }

  std::set<pid_t> killed_;
};
class FaultsLongKills : public FaultsKills {};

TEST_F(FaultsKills, Daemon) { daemon_killed(10); }
TEST_F(FaultsLongKills, Daemon) { daemon_killed(200); }
TEST_F(FaultsKills, DaemonOfPairs) { daemon_killed_under_pairs(8); }
TEST_F(FaultsLongKills, DaemonOfPairs) { daemon_killed_under_pairs(100); }
TEST_F(FaultsKills, Plugin) { plugin_killed(12); }
TEST_F(FaultsLongKills, Plugin) { plugin_killed(200); }
TEST_F(FaultsKills, ManyPluginsAndNoDaemon) { many_without_a_daemon(16); }
TEST_F(FaultsLongKills, ManyPluginsAndNoDaemon) { many_without_a_daemon(64); }

}  // namespace
}  // namespace cryored_test
