#pragma once
// The words behind cryored-reconstruct in RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE.

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace cryored {

/// What cryored-reconstruct accepts: the options of a reconstruction, and those that it takes for itself.
CommandSpec plugin_spec();

/// Throws UsageError for a symmetry or a daemon's name that no reconstruction takes: values that the parser knows as
/// text.
void check_plugin_values(const Settings& settings);

/// Throws UsageError for words that would end every call that RELION makes, as cryored-reconstruct itself would say it;
/// also for --help, which makes no map.
void check_plugin_words(std::vector<std::string> words);

}  // namespace cryored
