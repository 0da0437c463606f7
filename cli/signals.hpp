#pragma once
// A run that is told to end (SIGINT, SIGTERM, SIGHUP) removes its temporary files first.

#include <string>
#include <vector>

namespace cryored {

/// From now on, when this process is told to end, the temporary files of AtomicFile that
/// belong to `outputs` (".<name>.<pid>.*" in their folders) are removed and the process ends by
/// that signal. Call once, before other threads start: they inherit the blocked signals.
void remove_temporary_files_on_signal(std::vector<std::string> outputs);

}  // namespace cryored
