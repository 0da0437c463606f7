#pragma once
// A child process in a group of its own, so that mpirun and its ranks end together.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cryored {

class ChildProcess {
 public:
  /// Starts `words[0]` (found through PATH) in `folder` with `environment` added to ours;
  /// stdout and stderr are appended to `log`. The child dies with this process. Of our variables it gets those for
  /// which `passes` is true, all without one.
  /// Throws SystemError when it cannot be started.
  ChildProcess(const std::vector<std::string>& words, const std::string& folder, const std::string& log,
               const std::map<std::string, std::string>& environment,
               const std::function<bool(const std::string& variable)>& passes = {});
  ~ChildProcess();  ///< stops the group if it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Exit status once it has ended (128 + signal when killed).
  std::optional<int> poll();
  /// Terminates the whole group: SIGTERM, after `grace_seconds` SIGKILL; waits for its end.
  void stop(double grace_seconds = 10);
  /// User and system time of the ended child and its descendants, s; after stop() at least what they had used before.
  double cpu_seconds() const { return cpu_seconds_; }

 private:
  int pid_ = -1;
  std::optional<int> status_;
  double cpu_seconds_ = 0;
};

/// Full path of a program found through PATH; empty when there is none.
std::string find_program(const std::string& name);

}  // namespace cryored
