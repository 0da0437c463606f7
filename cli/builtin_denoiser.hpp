#pragma once
// Denoisers without a network, for tests of everything around it (faults, soaks, sanitizers): --weights builtin:NAME.
//   builtin:identity      hands its input back
//   builtin:wait=SECONDS  does so after that time, in steps in which it can be cancelled
// The record and RELION's log name them, so that nobody takes such a map for a denoised one.

#include <memory>
#include <string>

#include "models/block_denoiser.hpp"

namespace cryored {

bool is_builtin(const std::string& weights);

/// Stands in for the header of a weights file. Throws UsageError for a NAME that there is not.
WeightsInfo builtin_info(const std::string& weights);

std::unique_ptr<BlockDenoiser> make_builtin(const std::string& weights);

}  // namespace cryored
