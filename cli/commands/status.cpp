// cryored status: which daemons this user has on this machine, and what they do.

#include <algorithm>
#include <iostream>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "core/base/json_text.hpp"
#include "daemon/address.hpp"
#include "daemon/registry.hpp"
#include "daemon/status_text.hpp"

namespace cryored {
namespace {

using daemon::Condition;
using daemon::FoundDaemon;
using daemon::Json;

Json to_json(const std::vector<FoundDaemon>& all, const std::string& folder) {
  Json out{{"schema", "cryored-daemons"}, {"schema_version", 1}, {"folder", folder}, {"daemons", Json::array()}};
  for (const FoundDaemon& found : all)
    out["daemons"].push_back({{"key", found.address.key},
                              {"condition", daemon::condition_name(found.condition)},
                              {"file", found.file},
                              {"status", found.status},
                              {"error", found.error.empty() ? Json() : Json(found.error)}});
  return out;
}

int run(const Settings& settings) {
  const std::string folder = daemon::runtime_folder();
  const auto all = daemon::find_daemons(folder);
  if (settings.flag("json"))
    std::cout << json_text(to_json(all, folder), 2) << std::endl;
  else
    for (const std::string& line : daemon::status_lines(all, folder)) std::cout << line << "\n";
  std::cout.flush();
  const bool serves = std::any_of(all.begin(), all.end(),
                                  [](const FoundDaemon& found) { return found.condition == Condition::serving; });
  return serves ? 0 : 1;
}

}  // namespace

Command status_command() {
  CommandSpec spec;
  spec.program = "cryored status";
  spec.summary = "show the daemons of this user on this machine, and what they do";
  spec.details =
      "Lists every daemon whose files lie in the runtime folder ($CRYORED_RUNTIME_DIR, else $XDG_RUNTIME_DIR/cryored, "
      "else /tmp/cryored-UID): devices, memory, what waits and runs, and of each RELION job the last maps with "
      "iteration, lambda, resolution, times and errors.\n\n"
      "A daemon is serving, leaving (ends what runs), silent (lives but does not answer), stale (ended without "
      "removing "
      "its files) or other-host. Exit status 0 when at least one is serving, 1 when none is.";
  spec.options = {json_option("print JSON (docs/daemon.md)")};
  return {"status", spec, run};
}

}  // namespace cryored
