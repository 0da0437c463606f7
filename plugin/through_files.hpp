#pragma once
// --via-files: the request as a file beside the STAR, for a daemon elsewhere that watches the folder (docs/daemon.md).

#include <string>
#include <vector>

#include "plugin/settings.hpp"
#include "plugin/wait.hpp"

namespace cryored::plugin {

struct FileOutcome {
  bool done = false;   ///< a daemon answered: exit, out, err
  std::string reason;  ///< else why the helper has to do it
  int exit = 1;
  std::string out, err;
};

/// Writes the request, waits for its answer, removes both files. On return without an answer the request is withdrawn:
/// a daemon looks for it before it publishes anything. Throws Interrupted (withdrawn too), SystemError, UsageError.
FileOutcome compute_through_files(const Settings& settings, const Waiter& waiter);

}  // namespace cryored::plugin
