#include "cli/plugin_options.hpp"

namespace cryored {
namespace {

OptionSpec seconds(const std::string& name, const std::string& default_value, double minimum, const std::string& help) {
  OptionSpec option{name, OptionKind::number, "SECONDS", default_value, help};
  option.minimum = minimum;
  option.maximum = 86400;
  return option;
}

}  // namespace

std::vector<OptionSpec> plugin_options() {
  return {{"no-daemon", OptionKind::flag, "", "no", "compute in a helper process instead of asking the daemon"},
          {"daemon-name", OptionKind::text, "NAME", "default",
           "the daemon to ask, and to start where there is none: letters, digits, _ and -"},
          {"via-files", OptionKind::flag, "", "no",
           "hand the request over through a file beside the STAR, to a daemon elsewhere that watches the folder "
           "(cryored daemon --watch)"},
          seconds("connect-timeout", "30", 0.1, "how long to wait for a daemon to be found or started"),
          seconds("heartbeat-timeout", "60", 3, "how long a daemon may be silent before it counts as lost"),
          seconds("via-files-timeout", "300", 1,
                  "--via-files: how long the daemon may leave the request unanswered, or be silent after that")};
}

}  // namespace cryored
