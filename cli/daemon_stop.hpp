#pragma once
// cryored daemon --stop.

#include <string>

namespace cryored {

/// Ends the daemon `name` of this program, and those that its file of before an upgrade in place has left; with `all`
/// every one of that name on this machine. Says what it did, and which others live on. Returns the exit code; throws
/// SystemError where one does not answer, or where only others live.
int stop_daemons(const std::string& name, const std::string& program_folder, bool drain, bool all);

}  // namespace cryored
