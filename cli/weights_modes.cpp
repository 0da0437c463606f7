#include "cli/weights_modes.hpp"

#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "core/base/error.hpp"
#include "evaluation/benchmark.hpp"

namespace cryored {

OptionSpec weights_mode_option() {
  return tool_option(
      "weights-mode", OptionKind::text, "MODE-LABEL=FILE", "",
      "network of a mode that has its own, as red-gaussian-noise=FILE: red with the weights FILE; several "
      "separated by commas");
}

std::map<std::string, std::string> weights_modes(const Settings& settings) {
  std::map<std::string, std::string> out;
  for (const std::string& text : split_words(settings.text("weights-mode"), ',')) {
    const std::size_t equals = text.find('=');
    const std::string mode = text.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == text.size() || mode_parts(mode).label.empty())
      throw UsageError({"--weights-mode", "", text, "MODE-LABEL=FILE", "write for example red-gaussian-noise=FILE"});
    out[mode] = text.substr(equals + 1);
  }
  return out;
}

}  // namespace cryored
