#pragma once
// What the refinement programs show on stderr, and how they take Ctrl-C. Compiled into the
// programs, not into a library.

#include <chrono>
#include <string>

#include "evaluation/relion_run.hpp"

namespace cryored {

/// One line that is redrawn on a terminal; elsewhere a new line every 30 s and at changes of `stage`.
class ProgressLine {
 public:
  ProgressLine();
  void show(const std::string& stage, const std::string& text);
  /// Ends the line, so that other output starts on a fresh one.
  void finish();

 private:
  bool terminal_;
  std::size_t drawn_ = 0;
  std::string stage_;
  std::chrono::steady_clock::time_point last_;
};

/// "4 min 10 s", "1 h 05 min".
std::string duration(double seconds);

/// "iteration 3 of at most 8, expectation 40 %, 2 min 10 s so far, at most 4 min left".
std::string progress_text(const RunProgress& progress, const RelionOptions& options);

/// From now on SIGINT, SIGTERM and SIGHUP only set a flag, which interrupted() tells.
void watch_signals();
bool interrupted();

}  // namespace cryored
