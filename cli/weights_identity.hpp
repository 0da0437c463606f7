#pragma once
// Which networks a refinement runs with, by their digests.

#include <functional>
#include <string>

#include "cli/options.hpp"
#include "evaluation/benchmark_run.hpp"
#include "evaluation/cell.hpp"

namespace cryored {

/// Of a file that a mode has for its own. Throws as read_denoiser_info().
BenchmarkWeights weights_at(const std::string& path);

/// As cryored-reconstruct chooses by itself for maps of a pixel size (A); or of --weights. Throws InputError as
/// denoisers_in_force().
std::function<BenchmarkWeights(double)> weights_by_pixel_size(const Settings& settings);

/// What is in force in cryored-reconstruct `program` where RELION, working in `folder`, calls it with `options` (words
/// of a shell line), as run_relion() lets it see: weights that neither these nor a variable name are those of its own
/// installation.
Settings reconstruct_settings(const std::string& program, const std::string& options, const std::string& folder);

/// One line on what the caller has set for reconstructions and its refinements do not see: variables
/// (reaches_refinement()), config files. Empty where there is nothing.
std::string withheld_settings();

/// Whether a network takes part in the maps of a mode that calls `program` there: the options may say otherwise than
/// the mode's name, as --prior gaussian or --lambda 0 does. Throws UsageError for wrong options.
bool network_takes_part(const RefineMode& mode, const std::string& program, const std::string& folder);

/// What a refinement of `mode` at `pixel_size` (A) runs with there. Throws as both.
CellWeights weights_in_force(const std::string& program, const std::string& options, const std::string& folder,
                             const std::string& mode, double pixel_size);

}  // namespace cryored
