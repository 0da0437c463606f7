// cryored: one program, one subcommand per file of cli/commands/.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "cli/command.hpp"
#include "cli/module.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"

namespace {

using namespace cryored;

std::string overview(const std::vector<Command>& commands) {
  std::string text =
      "Usage: cryored COMMAND [arguments] [options]\n\n"
      "Cryo-EM reconstruction with a learned prior, for RELION's --external_reconstruct.\n\nCommands:\n";
  std::size_t width = 0;
  for (const auto& command : commands) width = std::max(width, command.name.size());
  for (const auto& command : commands)
    text += "  " + command.name + std::string(width + 2 - command.name.size(), ' ') + command.spec.summary + "\n";
  text += "\ncryored COMMAND --help explains one command; --version prints the version.\n";
  return text;
}

int dispatch(const std::vector<std::string>& words) {
  auto commands = all_commands();
  if (words.empty()) throw UsageError(Problem{"cryored", "command", "none", "see the list of cryored --help", ""});
  if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    std::cout << overview(commands);
    return 0;
  }
  std::string name = words[0] == "--version" ? "version" : words[0];
  std::size_t used = 1;
  // A name may be two words: "evaluate refine".
  std::vector<Command> members;
  for (const auto& command : commands)
    if (command.name.rfind(name + " ", 0) == 0) members.push_back(command);
  if (!members.empty()) {
    if (words.size() > 1 && (words[1] == "--help" || words[1] == "-h")) {
      std::cout << overview(members);
      return 0;
    }
    // "evaluate --task phase" says the same as "evaluate phase".
    const bool task = words.size() > 2 && words[1] == "--task";
    if (words.size() > 1) name += " " + words[task ? 2 : 1];
    used = task ? 3 : 2;
  }
  std::vector<std::string> names;
  for (const auto& command : commands) {
    names.push_back(command.name);
    if (command.name != name) continue;
    const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(used), words.end());
    const Settings settings = parse_options(command.spec, rest, persistent_options());
    if (settings.help) {
      std::cout << help_text(command.spec);
      return 0;
    }
    return command.run(settings);
  }
  const std::string near = nearest_name(name, names);
  std::string list;
  for (const auto& one : names) list += (list.empty() ? "" : ", ") + one;
  throw UsageError(Problem{"cryored", "unknown command", name, list,
                           near.empty() ? "see cryored --help" : "did you mean cryored " + near + "?"});
}

/// Where the caller has closed one of the three, the next file would get its number, and our words with it.
void fill_standard_descriptors() {
  for (int fd = 0; fd < 3; ++fd)
    if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", O_RDWR);
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  const int code = run_program("cryored", [&] { return dispatch({argv + 1, argv + argc}); });
  // LibTorch's tear-down at exit takes time and brings nothing: all results are on disk.
  if (any_module_loaded()) _exit(code);
  return code;
}
