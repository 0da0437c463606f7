#pragma once
// Environment variables that look like options and are none.

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace cryored {

/// Sorted names of the variables CRYORED_... that no program here reads: most likely misspelt, so that what they were
/// meant to set is not set. They are named wherever options are reported.
std::vector<std::string> unknown_variables(const Surroundings& around);

}  // namespace cryored
