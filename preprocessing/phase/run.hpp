#pragma once
// cryored phase: particle STAR in, stacks of phases and their STAR out.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/particles/phase_method.hpp"
#include "preprocessing/ranks.hpp"

namespace cryored {

struct PhaseProgress {
  std::size_t done = 0, total = 0;  ///< particles, of all ranks
  std::size_t before = 0;           ///< of those, done by an earlier run
  double seconds = 0;               ///< since this run began
  std::string waits_for;            ///< the ranks that rank 0, whose own share is done, waits for
};

struct PhaseRunOptions {
  std::string input;   ///< particle STAR file
  std::string output;  ///< folder, made if need be
  std::string program_version;
  CtfState ctf = CtfState::corrected;  ///< what the method leaves
  double dose = 40;                    ///< electrons / A^2
  double particle_diameter = 0;        ///< A; 0: three quarters of the box
  bool raw_names = true;
  bool skip_bad = false;  ///< report and leave out bad particles instead of stopping
  bool fresh = false;     ///< drop what an unfinished run has left
  RankPlace place;
  double rank_timeout = 300;                           ///< seconds without a sign of life until a rank counts as lost
  std::function<void(const PhaseProgress&)> progress;  ///< rank 0, after each piece and while it waits
};

struct PhaseRunResult {
  bool aborted = false;  ///< RELION asked for it; the next run goes on
  std::string star;      ///< OUTPUT/particles.star
  std::vector<std::string> stacks;
  std::size_t particles = 0, resumed = 0;
  bool optics = true;                ///< the set has a data_optics table; RELION 3.0 has none
  std::vector<std::string> skipped;  ///< problems, by row
};

/// Runs this rank's share; rank 0 also publishes the results when all are done (others return an empty result). The
/// results do not depend on the number of ranks, on threads, or on being interrupted. Writes RELION's job marks
/// (preprocessing/phase/relion_job.hpp). Throws InputError, SystemError, UsageError; what is done stays for the next
/// run.
PhaseRunResult run_phase(const PhaseRunOptions& options, PhaseMethod& method);

}  // namespace cryored
