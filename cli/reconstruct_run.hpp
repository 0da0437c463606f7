#pragma once
// One reconstruction from RELION's STAR file to map, record and the line in RELION's log.

#include <string>

#include "cli/denoise_library.hpp"
#include "cli/options.hpp"
#include "cli/reconstruct_intent.hpp"
#include "cli/record.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {

struct ReconstructOutcome {
  Json record;       ///< docs/record.md
  std::string line;  ///< for RELION's log: whether the denoiser ran, where, lambda, resolution, time
};

/// Where a run happens; the default is a process of its own.
struct RunPlace {
  NetworkSource networks = new_network;
  bool alone = true;               ///< the whole process is this run's: signals, number of threads
  std::string device;              ///< replaces --device, which the daemon has chosen among its own
  int threads = 0;                 ///< where --threads is not given; 0: this run's share of the processors
  std::uint64_t memory_limit = 0;  ///< bytes that the denoiser may take, DenoiserOptions::memory_limit
  Json served_by;                  ///< for the record: the daemon and the request
};

/// Reads the request, reconstructs under `settings` (the options of cryored
/// reconstruct), publishes the result map and the record. Throws Error; then no temporary and no partial
/// file is left. Only where the record itself cannot be written does the whole map stay.
ReconstructOutcome run_reconstruction(const Settings& settings, const RunPlace& place = {});

/// "run_it004_half1_class001", the name that RELION's users know.
std::string map_name(const ReconstructRequest& request);

}  // namespace cryored
