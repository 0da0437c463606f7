#pragma once
// What cryored-reconstruct takes for itself from its words, the environment and the config files (docs/options.md).

#include <string>
#include <vector>

namespace cryored::plugin {

struct Settings {
  bool no_daemon = false;
  bool via_files = false;
  std::string daemon_name;
  double connect_timeout = 0, heartbeat_timeout = 0, via_files_timeout = 0;  ///< seconds
  /// The words for `cryored reconstruct`: those given, without our own.
  std::vector<std::string> words;
  /// Only the helper can serve this call: --help, --version, or a config file that can be read only once (a pipe).
  bool only_helper = false;
};

/// `words` without the program's name. Reads the variables and config files that `cryored reconstruct` would read, but
/// looks at our own options alone. Throws UsageError as `cryored` does for a bad value.
Settings read_settings(const std::vector<std::string>& words);

}  // namespace cryored::plugin
