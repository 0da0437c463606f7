// cryored env: the line that makes RELION call this program.

#include <iostream>

#include "cli/command.hpp"
#include "cli/installation.hpp"
#include "cli/plugin_words.hpp"

namespace cryored {
namespace {

bool is_plain(const std::string& text) {
  for (const char c : text) {
    const bool safe = std::isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '.' || c == '_' || c == '-' ||
                      c == '+' || c == '=' || c == ',' || c == ':' || c == '@' ||
                      (static_cast<unsigned char>(c) & 0x80);
    if (!safe) return false;
  }
  return !text.empty();
}

std::string quote(const std::string& text) {
  if (is_plain(text)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

int run(const Settings& settings) {
  check_plugin_words(settings.arguments);
  // RELION puts the variable's text before the STAR file in a line for the shell: a folder
  // with spaces needs quotes inside the value too, and options may follow the path.
  std::string value = quote(plugin_path());
  for (const auto& word : settings.arguments) value += " " + quote(word);
  const std::string name = "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE";
  const std::string notes =
      "# Then run the job with --external_reconstruct (in the GUI: Running tab, additional arguments).\n"
      "# On one machine, and with Slurm's srun, every rank inherits the variable.\n"
      "# With Open MPI's mpirun over several machines, pass it on: mpirun -x " +
      name +
      " ...\n"
      "# (MPICH and Intel MPI: mpirun -genvlist " +
      name +
      " ...)\n"
      "# cryored doctor JOBDIR tells afterwards whether RELION called it in each iteration.\n";
  if (settings.flag("csh")) {
    // csh's eval joins lines, so that a comment would swallow what follows: notes go to stderr.
    std::cout << "setenv " << name << " " << quote(value) << ";\n";
    std::cerr << notes;
  } else {
    std::cout << "export " << name << "=" << quote(value) << "\n" << notes;
  }
  return 0;
}

}  // namespace

Command env_command() {
  OptionSpec csh{"csh", OptionKind::flag, "", "no", "print the line for csh and tcsh"};
  csh.persistent = false;
  CommandSpec spec;
  spec.program = "cryored env";
  spec.arguments = "[WORD...]";
  spec.summary = "print the line that makes RELION call cryored-reconstruct";
  spec.details =
      "Prints the environment variable that RELION reads, to be evaluated by the shell:\n\n"
      "  eval \"$(cryored env)\"                  # sh, bash, zsh\n"
      "  eval `cryored env --csh`               # csh, tcsh\n"
      "  eval \"$(cryored env -- --lambda 0.5)\"  # with options for every call\n\n"
      "Words after -- become options of every call that RELION makes; they are checked here.";
  spec.maximum_arguments = 100;
  spec.options = {csh};
  return {"env", spec, run};
}

}  // namespace cryored
