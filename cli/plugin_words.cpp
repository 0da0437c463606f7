#include "cli/plugin_words.hpp"

#include "cli/command.hpp"
#include "cli/plugin_options.hpp"
#include "core/base/error.hpp"

namespace cryored {

CommandSpec plugin_spec() {
  CommandSpec spec = reconstruct_command().spec;
  spec.program = "cryored-reconstruct";
  for (const OptionSpec& option : plugin_options()) spec.options.push_back(option);
  return spec;
}

void check_plugin_words(std::vector<std::string> words) {
  CommandSpec spec = plugin_spec();
  for (OptionSpec& option : spec.options) option.persistent = false;  // the words alone are asked about
  words.emplace_back("STAR");                                         // RELION's
  if (parse_options(spec, words, {}).help)
    throw UsageError(Problem{spec.program, "words", "--help", "options of a reconstruction",
                             "leave it out: with it no map is made"});
}

}  // namespace cryored
