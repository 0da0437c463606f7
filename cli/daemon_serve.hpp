#pragma once
// cryored daemon in this process: from its options to a daemon that serves.

#include <string>
#include <vector>

#include "cli/options.hpp"
#include "daemon/background.hpp"

namespace cryored {

/// Where the programs of this installation are.
std::string program_folder();

/// Real paths of the folders of --watch; empty without it. Throws UsageError.
std::vector<std::string> watched_folders(const Settings& settings);

/// Serves until it is to leave; `report` is told when it listens, or that another one of its name does. Returns the
/// exit status; ends the process where a computation or a lost device might keep it.
int serve_as_daemon(const Settings& settings, daemon::StartReport& report);

}  // namespace cryored
