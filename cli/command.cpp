#include "cli/command.hpp"

#include "cli/plugin_options.hpp"

namespace cryored {

std::vector<Command> all_commands() {
  return {reconstruct_command(),
          denoise_command(),
          fsc_command(),
          weights_command(),
#ifdef CRYORED_NETWORK
          simulate_command(),
          pairs_command(),
          train_command(),
          evaluate_refine_command(),
          evaluate_benchmark_command(),
          evaluate_one_pass_command(),
          evaluate_pairs_command(),
          evaluate_phase_command(),
          evaluate_phase_relion_command(),
          phase_command(),
#endif
          env_command(),
          daemon_command(),
          doctor_command(),
          status_command(),
          top_command(),
          config_command(),
          version_command()};
}

std::vector<OptionSpec> persistent_options() {
  std::vector<OptionSpec> all;
  const auto add = [&all](const std::vector<OptionSpec>& options) {
    for (const auto& option : options)
      if (option.persistent && !find_option(all, option.name)) all.push_back(option);
  };
  // Not through all_commands(): config takes its own options from here.
  for (const Command& command :
       {reconstruct_command(), denoise_command(), fsc_command(), weights_command(), daemon_command()})
    add(command.spec.options);
  add(plugin_options());
  return all;
}

}  // namespace cryored
