#pragma once
// Options of the commands that simulate exposures by wave optics.

#include <nlohmann/json.hpp>
#include <vector>

#include "cli/options.hpp"
#include "evaluation/phase_scene.hpp"

namespace cryored {

/// Box, pixel size, microscope, defocus, ice and B factor; the defaults are those of `usual`.
std::vector<OptionSpec> phase_optics_specs(const PhaseOptics& usual);

/// The values in force, and --seed. Throws UsageError.
void take_phase_optics(const Settings& settings, PhaseOptics& optics);

/// Microscope, defocus, ice and B factor, for records.
nlohmann::ordered_json optics_json(const PhaseOptics& optics);

}  // namespace cryored
