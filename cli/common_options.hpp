#pragma once
// Options that more than one subcommand has, defined once.

#include <cstdint>

#include "cli/options.hpp"

namespace cryored {

OptionSpec json_option(const std::string& help);
OptionSpec device_option();
OptionSpec precision_option();
OptionSpec weights_option();
OptionSpec threads_option();
OptionSpec pixel_size_option(const std::string& fallback);

/// --box, which all transforms want even; 0 where that is allowed. Throws UsageError for an odd one.
std::int64_t even_box(const Settings& settings);

}  // namespace cryored
