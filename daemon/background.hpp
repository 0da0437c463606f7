#pragma once
// Leaving the session of whoever started the daemon: an mpirun waits for every descriptor that its ranks' children
// hold, a batch step for its processes, and a terminal ends its own.

#include <string>
#include <vector>

namespace cryored::daemon {

/// The end of a pipe on which a daemon in the background tells its starter how the start went.
class StartReport {
 public:
  /// From the variable that start_in_background() sets; nothing to report to where it is not set.
  StartReport();
  /// The starter returns 0 and prints `text` on stdout.
  void good(const std::string& text);
  /// The starter returns `code` and prints `text` on stderr.
  void bad(const std::string& text, int code);

 private:
  void send(char kind, int code, const std::string& text);
  int fd_ = -1;
};

/// Starts `program` with `words` in a session of its own: forked twice, descriptors closed, 0 to 2 on /dev/null,
/// working directory /, signals and CPU affinity as after login, launchers' variables (OMPI_*, PMIX_*, ...) dropped;
/// the umask stays. Waits for its report, prints it, and returns the exit code. Call before any thread is started.
/// Throws SystemError.
int start_in_background(const std::string& program, const std::vector<std::string>& words);

}  // namespace cryored::daemon
