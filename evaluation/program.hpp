#pragma once
// A program that runs to its end with a log, and what its log said last.

#include <functional>
#include <ios>
#include <string>
#include <vector>

namespace cryored {

/// The text that is appended to a growing file after the byte `from`; its last 32 KiB at least are kept.
class LogTail {
 public:
  LogTail(std::string path, std::streamoff from) : path_(std::move(path)), position_(from) {}
  /// Size of the file now, 0 where there is none: a tail from here shows only what comes.
  static std::streamoff end_of(const std::string& path);

  const std::string& update();
  /// The last lines without RELION's progress bars, each on a new indented line, for an error message.
  std::string last_lines(std::size_t count);

 private:
  std::string path_;
  std::streamoff position_;
  std::string tail_;
};

/// Runs `words` in `folder`, which it makes, with one thread of OpenMP; the output is appended to `log`. `report` is
/// told what this run has written so far (see LogTail). False when cancelled. Throws SystemError where the program
/// cannot be started, or ends with another status than 0, with the end of the log.
bool run_program(const std::vector<std::string>& words, const std::string& folder, const std::string& log,
                 const std::function<void(const std::string& tail)>& report, const std::function<bool()>& cancelled);

}  // namespace cryored
