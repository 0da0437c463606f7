#pragma once
// Ways of refining with a network of their own: --weights-mode red-gaussian-noise=FILE.

#include <map>
#include <string>

#include "cli/options.hpp"

namespace cryored {

OptionSpec weights_mode_option();
/// Weights file by mode. Throws UsageError for what is not MODE-LABEL=FILE.
std::map<std::string, std::string> weights_modes(const Settings& settings);

}  // namespace cryored
