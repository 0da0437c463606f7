#pragma once
// One reconstruction from RELION's STAR file to map, record and the line in RELION's log.

#include <string>

#include "cli/options.hpp"
#include "cli/record.hpp"

namespace cryored {

struct ReconstructOutcome {
  Json record;       ///< docs/record.md
  std::string line;  ///< for RELION's log: whether the denoiser ran, where, lambda, resolution, time
};

/// Reads the request `star`, reconstructs under `settings` (the options of cryored
/// reconstruct), publishes the result map and the record. Throws Error; then no temporary and no partial
/// file is left. Only where the record itself cannot be written does the whole map stay.
ReconstructOutcome run_reconstruction(const std::string& star, const Settings& settings);

}  // namespace cryored
