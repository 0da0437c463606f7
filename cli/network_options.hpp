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

/// The denoisers that a reconstruction chooses from by its resolution (models/weights_choice.hpp), coarsest first, of
/// the folder in CRYORED_WEIGHTS or of the installation; one alone where --weights or the variable names a file or a
/// "builtin:..." (cli/builtin_denoiser.hpp). Throws InputError that lists where it looked, and for a damaged file.
std::vector<WeightsInfo> denoisers_in_force(const Settings& settings);

/// The weights file of the phase network; CRYORED_WEIGHTS counts only as a folder, since a file there is the
/// denoiser's. Throws InputError that lists where it looked.
std::string phase_weights_in_force(const Settings& settings);

/// --precision.
Precision precision_in_force(const Settings& settings);

}  // namespace cryored
