#pragma once
// The options that cryored-reconstruct takes for itself: it strips them from the words that it hands on. They are known
// to `cryored config` and to config files like all others.

#include <vector>

#include "cli/options.hpp"

namespace cryored {

std::vector<OptionSpec> plugin_options();

}  // namespace cryored
