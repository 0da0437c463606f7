#pragma once
// Runs the real programs the way a user or RELION does.

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace cryored_test {

struct Invocation {
  std::vector<std::string> words;                  ///< program and arguments
  std::string folder;                              ///< working directory; empty: this process's
  std::map<std::string, std::string> environment;  ///< added to a clean one (PATH, no HOME, no daemon)
  long file_size_limit = -1;                       ///< RLIMIT_FSIZE in bytes
  bool obey_permissions = false;                   ///< without root's right to write everywhere (when run by root)
  double timeout = 120;                            ///< seconds; then SIGKILL
};

struct Outcome {
  int code = -1;   ///< exit status; -1 when a signal ended it
  int signal = 0;  ///< that signal
  std::string out, err;
  double seconds = 0;
  double processor_seconds = 0;  ///< user and system time of the process and those it waited for
};

/// A started process; the destructor kills what still runs.
class Process {
 public:
  explicit Process(const Invocation& invocation);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  pid_t pid() const { return pid_; }
  void send(int signal) const;
  Outcome wait();

 private:
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
  double timeout_;
};

Outcome run(const Invocation& invocation);
inline Outcome run(const std::vector<std::string>& words) {
  Invocation invocation;
  invocation.words = words;
  return run(invocation);
}

/// A fresh folder, removed at the end. Its name holds a space where asked for.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& infix = "");
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  /// All names in it, hidden ones too, sorted.
  std::vector<std::string> names() const;

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& text);
std::string read_file(const std::string& path);
bool exists(const std::string& path);

/// A line of /proc/PID/stat.
struct ProcessEntry {
  pid_t pid = 0, parent = 0;
  char state = 0;  ///< 'Z': ended, not yet waited for
};
/// Every process that this one can see.
std::vector<ProcessEntry> processes();

/// Pids of the children of a process.
std::vector<pid_t> children_of(pid_t parent);

}  // namespace cryored_test
