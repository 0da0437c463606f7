#include "cli/command.hpp"

#include <algorithm>

namespace cryored {

std::vector<Command> all_commands() {
  return {reconstruct_command(), denoise_command(), fsc_command(),    weights_command(),
          env_command(),         daemon_command(),  doctor_command(), status_command(),
          top_command(),         config_command(),  version_command()};
}

std::vector<OptionSpec> persistent_options() {
  std::vector<OptionSpec> all;
  // Not through all_commands(): config takes its own options from here.
  for (const Command& command :
       {reconstruct_command(), denoise_command(), fsc_command(), weights_command(), daemon_command()})
    for (const auto& option : command.spec.options)
      if (option.persistent &&
          std::none_of(all.begin(), all.end(), [&](const OptionSpec& known) { return known.name == option.name; }))
        all.push_back(option);
  return all;
}

}  // namespace cryored
