#pragma once
// Options that more than one subcommand has, defined once.

#include "cli/options.hpp"

namespace cryored {

OptionSpec json_option(const std::string& help);
OptionSpec device_option();
OptionSpec precision_option();
OptionSpec weights_option();
OptionSpec threads_option();
OptionSpec pixel_size_option(const std::string& fallback);

}  // namespace cryored
