#pragma once
// From the options in force to a network: the same for every command that runs one.

#include <string>
#include <vector>

#include "cli/options.hpp"
#include "models/block_denoiser.hpp"
#include "models/weights_file.hpp"

namespace cryored {

/// --device, --precision and the number of threads.
DenoiserOptions denoiser_options(const Settings& settings, int threads);

/// The weights file of --weights, CRYORED_WEIGHTS (which may name a folder) or the installation, where nothing is known
/// of the map's resolution. Throws InputError that lists where it looked. "builtin:..." stays as it is
/// (cli/builtin_denoiser.hpp).
std::string weights_in_force(const Settings& settings);

/// The denoisers that a reconstruction chooses from by its resolution (models/weights_choice.hpp), coarsest first; one
/// alone where --weights or CRYORED_WEIGHTS names a file. Throws InputError as weights_in_force(), and for a damaged
/// file.
std::vector<WeightsInfo> denoisers_in_force(const Settings& settings);

/// weights_in_force() for the phase network; CRYORED_WEIGHTS counts only as a folder, since a file there is the
/// denoiser's.
std::string phase_weights_in_force(const Settings& settings);

/// --precision.
Precision precision_in_force(const Settings& settings);

}  // namespace cryored
