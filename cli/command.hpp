#pragma once
// A subcommand of the program cryored; each is one file in cli/commands/.

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace cryored {

struct Command {
  std::string name;  ///< "reconstruct", or two words: "evaluate refine"
  CommandSpec spec;
  /// Does the work and returns the exit code; throws Error.
  int (*run)(const Settings& settings);
};

Command reconstruct_command();
Command denoise_command();
Command fsc_command();
Command phase_command();
Command weights_command();
Command train_command();
Command env_command();
Command daemon_command();
Command doctor_command();
Command status_command();
Command top_command();
Command config_command();
Command version_command();
Command simulate_command();
Command pairs_command();
Command evaluate_refine_command();
Command evaluate_one_pass_command();
Command evaluate_pairs_command();
Command evaluate_phase_command();
Command evaluate_benchmark_command();
Command evaluate_phase_relion_command();

/// All subcommands in the order of the help text. An explicit list: nothing registers itself.
std::vector<Command> all_commands();

/// Every option that may stand in a config file, each name once.
std::vector<OptionSpec> persistent_options();

}  // namespace cryored
