// The clock of the machine is set while a request waits: nothing may depend on it. With libfaketime, which changes
// what a program sees of that clock and leaves the monotonic one alone.

#include <filesystem>
#include <set>

#include "tests/faults/faults.hpp"

namespace cryored_test {
namespace {

class FaultsClock : public FaultTest {
 protected:
  void set_clock(const std::string& offset) const {
    write_file(runtime / "clock.new", offset + "\n");
    std::filesystem::rename(runtime / "clock.new", runtime / "clock");
  }
  void under_our_clock(Invocation& invocation) const {
    invocation.environment["LD_PRELOAD"] = CRYORED_TEST_FAKETIME;
    invocation.environment["FAKETIME_TIMESTAMP_FILE"] = runtime / "clock";
    invocation.environment["FAKETIME_NO_CACHE"] = "1";
    invocation.environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1";
    invocation.environment["NO_FAKE_STAT"] = "1";
    invocation.environment["DONT_FAKE_MONOTONIC"] = "1";
  }
};

TEST_F(FaultsClock, Jumps) {
  if (sanitized) GTEST_SKIP() << "libfaketime and the sanitizer both want to come first";
  if (!exists(CRYORED_TEST_FAKETIME)) GTEST_SKIP() << "Debian's libfaketime is not installed";
  write_request({"--prior", "red", "--weights", "builtin:identity"});
  options_[3] = "builtin:wait=0.6";
  set_clock("+0");
  Invocation served = daemon({"--idle-timeout", "60"});
  under_our_clock(served);
  const auto process = start_daemon(served);
  const std::vector<std::string> jumps{"+400d", "-400d", "+3600s", "-3600s"};
  for (const auto& jump : jumps) {
    set_clock("+0");
    Invocation invocation = plugin_call({"--heartbeat-timeout", "20", "--connect-timeout", "20"});
    under_our_clock(invocation);
    invocation.timeout = 30;
    Process request(invocation);
    for (int i = 0; i < 2000 && status()["requests"].empty(); ++i) sleep_ms(2);
    set_clock(jump);
    const Outcome outcome = request.wait();
    EXPECT_EQ(outcome.code, 0) << jump << ": " << outcome.err;
    EXPECT_EQ(outcome.err, "") << jump;
    EXPECT_TRUE(take_map()) << jump;
    const Json now = status();
    EXPECT_EQ(now["daemon"]["pid"], process->pid()) << "not idle for 400 days";
    EXPECT_LT(now["daemon"]["uptime_s"], 100);
    EXPECT_LT(now["daemon"]["idle_s"], 60);
    EXPECT_GE(now["daemon"]["idle_s"], 0);
    EXPECT_LT(now["counters"]["computed_s"], 60);
  }
  const std::string log = read_file(runtime / "log"), field = "\"time\":\"";
  std::set<std::string> years;
  for (auto at = log.find(field); at != std::string::npos; at = log.find(field, at + 1))
    years.insert(log.substr(at + field.size(), 4));
  EXPECT_GT(years.size(), 1u) << "the clock did jump: " << log;
  report("the clock jumps by 400 days or an hour, forwards and back, during a request", static_cast<long>(jumps.size()),
         "0 wrong or missing maps; no time-out, no early end");
}

}  // namespace
}  // namespace cryored_test
