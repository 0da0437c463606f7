#pragma once
// Options of the commands that simulate particles.

#include <string>
#include <utility>
#include <vector>

#include "cli/options.hpp"
#include "simulation/particles.hpp"

namespace cryored {

/// Everything of ParticleOptions but the SNR, which the commands have in different forms.
std::vector<OptionSpec> particle_option_specs();

/// The values in force; `snr` stays at its default. Throws UsageError.
ParticleOptions particle_options(const Settings& settings);

/// "8000:20000" as two numbers. Throws UsageError naming the option.
std::pair<double, double> number_pair(const Settings& settings, const std::string& option);

/// Words separated by `separator`, empty ones left out.
std::vector<std::string> split_words(const std::string& text, char separator);

}  // namespace cryored
