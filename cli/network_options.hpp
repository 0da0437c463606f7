#pragma once
// From the options in force to a network: the same for every command that runs one.

#include <string>

#include "cli/options.hpp"
#include "models/block_denoiser.hpp"

namespace cryored {

/// --device, --precision and the number of threads.
DenoiserOptions denoiser_options(const Settings& settings, int threads);

/// The weights file of --weights, CRYORED_WEIGHTS (which may name a folder) or the installation.
/// Throws InputError that lists where it looked. "builtin:..." stays as it is (cli/builtin_denoiser.hpp).
std::string weights_in_force(const Settings& settings);

/// The same for the phase network; CRYORED_WEIGHTS counts only as a folder, since a file there is the denoiser's.
std::string phase_weights_in_force(const Settings& settings);

/// --precision.
Precision precision_in_force(const Settings& settings);

}  // namespace cryored
