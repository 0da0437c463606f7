#pragma once
// One program run from start to end, with what the kernel says it took.

#include <string>
#include <vector>

namespace cryored {

struct ChildRun {
  double wall = 0;         ///< s, from before the start to after the end
  double processor = 0;    ///< s, user and system
  double peak_memory = 0;  ///< MiB, largest resident set
};

/// Runs words[0] (found through PATH) in `folder`, its output appended to `log`. Throws SystemError when it
/// cannot be started or ends with another status than 0. The caller must hold little memory itself: the
/// kernel counts that of the forked copy before it becomes the program.
ChildRun run_child(const std::vector<std::string>& words, const std::string& folder, const std::string& log);

/// Runs `work` in a forked copy of this process, so that its memory is not ours. Throws SystemError when it fails.
void in_fork(void (*work)(const void*), const void* argument, const std::string& name);

}  // namespace cryored
