#include "cli/plugin_words.hpp"

#include "cli/command.hpp"
#include "cli/plugin_options.hpp"
#include "core/base/error.hpp"
#include "core/reconstruct/symmetry.hpp"
#include "daemon/address.hpp"

namespace cryored {

CommandSpec plugin_spec() {
  CommandSpec spec = reconstruct_command().spec;
  spec.program = "cryored-reconstruct";
  for (const OptionSpec& option : plugin_options()) spec.options.push_back(option);
  return spec;
}

void check_plugin_values(const Settings& settings) {
  const auto check = [&](const char* option, const auto& parse) {
    if (!settings.has(option)) return;
    try {
      parse(settings.text(option));
    } catch (const UsageError& error) {
      throw UsageError(settings.source(option).text + ": " + error.what());
    }
  };
  check("symmetry", [](const std::string& text) { parse_symmetry(text); });
  check("daemon-name", [](const std::string& text) { daemon::check_daemon_name(text); });
}

void check_plugin_words(std::vector<std::string> words) {
  CommandSpec spec = plugin_spec();
  for (OptionSpec& option : spec.options) option.persistent = false;  // the words alone are asked about
  words.emplace_back("STAR");                                         // RELION's
  const Settings settings = parse_options(spec, words, {});
  if (settings.help)
    throw UsageError(Problem{spec.program, "words", "--help", "options of a reconstruction",
                             "leave it out: with it no map is made"});
  check_plugin_values(settings);
}

}  // namespace cryored
