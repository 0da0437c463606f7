// cryored top: cryored status, again and again.

#include <csignal>
#include <cstdio>
#include <ctime>

#include "cli/command.hpp"
#include "cli/terminal.hpp"
#include "daemon/address.hpp"
#include "daemon/registry.hpp"
#include "daemon/status_text.hpp"

namespace cryored {
namespace {

std::string clock_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%H:%M:%S", &parts);
  return text;
}

int run(const Settings& settings) {
  const std::string folder = daemon::runtime_folder();
  const double interval = settings.number("interval");
  const long count = settings.integer("count");
  int signal = 0;
  {
    const TerminalDisplay display;
    for (long shown = 1;; ++shown) {
      std::vector<std::string> lines{"cryored top, " + clock_text() + ", every " + settings.text("interval") +
                                     " s; q ends"};
      for (auto& line : daemon::status_lines(daemon::find_daemons(folder), folder, {4, 16}))
        lines.push_back(std::move(line));
      display.show(lines);
      if (shown == count || !display.wait(interval)) break;
    }
    signal = display.signal();
  }
  // Ctrl-C is the usual way to leave; for the others the caller sees that a signal ended it.
  if (signal != 0 && signal != SIGINT) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  return 0;
}

}  // namespace

Command top_command() {
  CommandSpec spec;
  spec.program = "cryored top";
  spec.summary = "show what cryored status shows, refreshed in the terminal";
  spec.details =
      "Refreshes the status of all daemons of this user on this machine until q or Ctrl-C is pressed, and leaves the "
      "terminal as it was. Any other key refreshes at once. Where the output is no terminal, plain text follows plain "
      "text.";
  OptionSpec interval{"interval", OptionKind::number, "S", "2", "seconds between two refreshes"};
  interval.minimum = 0.1;
  interval.maximum = 3600;
  interval.persistent = false;
  OptionSpec count{"count", OptionKind::integer, "N", "0", "end after N displays; 0: go on"};
  count.minimum = 0;
  count.maximum = 1e9;
  count.persistent = false;
  spec.options = {interval, count};
  return {"top", spec, run};
}

}  // namespace cryored
