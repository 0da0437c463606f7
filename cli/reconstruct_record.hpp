#pragma once
// What a finished reconstruction leaves beside its map: the record and the line in RELION's log.

#include <string>

#include "cli/reconstruct_state.hpp"

namespace cryored {

/// docs/record.md.
Json make_record(const ReconstructRun& run, bool removed_star);

/// Whether the denoiser ran, where, lambda, resolution, time.
std::string log_line(const ReconstructRun& run);

}  // namespace cryored
