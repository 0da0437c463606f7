#pragma once
// Tests that do harm to real processes, count how often, and say what came of it. A test of the suites Faults* takes
// seconds; the suites FaultsLong* do the same with the full counts (./dev test --long). What report() prints becomes
// the table of docs/faults.md (scripts/dev/fault_table.py).

#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "tests/cli/reconstruct_fixture.hpp"
#include "tests/daemon/http_client.hpp"

namespace cryored_test {

using Json = nlohmann::json;

/// Their memory says nothing then, and nothing else can be preloaded.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

class FaultTest : public ReconstructTest {
 protected:
  /// A small box, so that many requests take little time. Orphans of what the test starts become its own children.
  FaultTest();
  /// Ends every process that came of the test.
  ~FaultTest() override;

  /// A line of the table; nothing where the test has failed.
  static void report(const std::string& fault, long count, const std::string& outcome);

  // The daemon

  std::string folder_of_daemon() const { return runtime / "run"; }
  Invocation daemon(const std::vector<std::string>& words = {}) const;
  /// Starts one, and returns when it serves.
  std::unique_ptr<Process> start_daemon(const Invocation& invocation);
  std::unique_ptr<Process> start_daemon() { return start_daemon(daemon()); }
  /// Path of a file of the runtime folder by its ending (".sock", ".json", ".lock"), waiting up to 20 s; or empty.
  std::string file_of_daemon(const std::string& ending) const;
  /// GET /v1/status, null without an answer.
  Json status() const;
  /// Until nothing waits or runs and no client but this one is connected, up to 20 s; then the status.
  Json settled() const;
  /// Pids of all daemons that came of this test, launchers apart.
  std::vector<pid_t> daemons() const;

  // Requests

  /// Writes the arrays of a request and computes its map in a process of its own; the result is removed again.
  void write_request(const std::vector<std::string>& options);
  std::string body(const std::vector<std::string>& words) const;
  /// The event `done` of a request over the socket; {"exit": -1} and what came instead.
  Json ask(const std::vector<std::string>& words) const;
  /// As ask(), of the request of write_request().
  Json ask() const;
  /// The plugin on that request.
  Invocation plugin_call(const std::vector<std::string>& more = {}) const;
  /// The result is there and is the expected one, byte for byte; it is removed.
  bool take_map() const;
  /// Names in the scratch folder that are neither the request's own nor results.
  std::vector<std::string> litter() const;

  ScratchFolder runtime;
  std::vector<std::string> options_;  ///< of write_request()
  std::string expected;               ///< bytes of the map
  std::mt19937 random{20260101};
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); }

 private:
  std::vector<std::string> own_names_;
};

/// Every process below this one.
std::vector<pid_t> descendants();
/// Words of a process, with spaces between; empty when it has gone.
std::string command_line(pid_t pid);
/// Number of open files and resident kB of a process.
int open_files(pid_t pid);
long resident_kb(pid_t pid);
void sleep_ms(int milliseconds);

}  // namespace cryored_test
