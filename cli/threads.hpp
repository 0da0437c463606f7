#pragma once
// How many threads a run takes when the user names no number (docs/options.md).

#include <string>

namespace cryored {

/// Processors this process may use: affinity mask, $SLURM_CPUS_ON_NODE in a Slurm job, the control
/// group's CPU quota.
int usable_processors();

/// Share of usable_processors() for one of `concurrent` runs on this machine, at least 1.
int share_of_processors(int concurrent);

/// How many reconstructions RELION runs at the same time on this machine: the two halves
/// of an auto-refinement where at least two working ranks are here; for classes and bodies as
/// many as there are working ranks; 1 for a joined map and outside MPI.
/// `ranks` is the value of CRYORED_LOCAL_RANKS, empty where unset.
int concurrent_runs(int half, bool joined, const std::string& ranks);

}  // namespace cryored
