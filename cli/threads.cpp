#include "cli/threads.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace cryored {

int usable_processors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  int count = 1;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = std::max(1, CPU_COUNT(&mask));
  // Slurm may bind by affinity alone, which the daemon, started by a bound rank, has reset.
  const char *job = std::getenv("SLURM_JOB_ID"), *allocated = std::getenv("SLURM_CPUS_ON_NODE");
  if (job && allocated && std::atoi(allocated) > 0) count = std::min(count, std::atoi(allocated));
  // Containers limit time, not processors: "<quota> <period>" in microseconds, or "max <period>".
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (quota_file >> quota >> period && quota != "max" && period > 0)
    count = std::min(count, std::max(1, static_cast<int>(std::atof(quota.c_str()) / period + 0.5)));
  return count;
}

int share_of_processors(int concurrent) { return std::max(1, usable_processors() / std::max(1, concurrent)); }

int concurrent_runs(int half, bool joined, const std::string& ranks) {
  // Set by cryored-reconstruct from the MPI launcher's variables: ranks on this machine, the leader included.
  const int workers = ranks.empty() ? 1 : std::max(1, std::atoi(ranks.c_str()) - 1);
  if (half > 0) return std::min(2, workers);
  return joined ? 1 : workers;
}

}  // namespace cryored
