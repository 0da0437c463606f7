#pragma once
// "cryored reconstruct" of the same installation in a process of its own.

#include <string>
#include <vector>

#include "plugin/wait.hpp"

namespace cryored::plugin {

/// Folder of this very program, symbolic links resolved. Throws SystemError without /proc.
std::string own_folder();

/// Keeps the MPI launcher's variables from whatever this program starts, which is no rank, and hands on what they tell
/// about how many ranks share this machine (CRYORED_LOCAL_RANKS).
void clean_environment();

/// Runs `<folder>/cryored <arguments>`, passes signals on and returns its exit code. Ends this program by the signal
/// that ended the helper where somebody asked for that.
int run_helper(const std::string& folder, const std::vector<std::string>& arguments, const Waiter& waiter);

}  // namespace cryored::plugin
