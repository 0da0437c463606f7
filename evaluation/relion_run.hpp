#pragma once
// One auto-refinement by real RELION, run to its end, stopped by a rule, or continued.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/relion_files.hpp"

namespace cryored {

/// Options of relion_refine_mpi; every field becomes part of the cell's recorded command.
struct RelionOptions {
  int ranks = 3;                   ///< one leader and two followers, each with one half-set
  int threads = 1;                 ///< per rank
  double particle_diameter = 0;    ///< A
  double initial_resolution = 30;  ///< A, --ini_high
  double join_halves = 40;         ///< A, --low_resol_join_halves; <= 0 leaves it out
  int padding = 1;
  int healpix_order = 2;
  int local_healpix_order = 4;  ///< sampling from which searches are local, --auto_local_healpix_order
  int oversampling = 1;
  double offset_range = 3, offset_step = 2;  ///< pixels
  int max_significant = 500;                 ///< --maxsig; <= 0 leaves it out
  int max_iterations = 0;                    ///< stop rule, --auto_iter_max; 0: none
  double max_seconds = 0;                    ///< stop rule on the wall clock of all segments; 0: none
  int random_seed = 1;
  std::string symmetry = "C1";
  std::vector<std::string> extra;  ///< more words for relion_refine_mpi
};

struct RelionJob {
  std::string folder;     ///< of the results; RELION runs here, so its files are run_it001... in it
  std::string particles;  ///< STAR file
  std::string reference;  ///< start map
  RelionOptions options;
  /// Value of RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE, may carry options; empty: RELION's
  /// own maximisation, without --external_reconstruct.
  std::string external;
  /// Stop rule on what an iteration gave: true ends the job as hopeless. Asked once for each iteration as it finishes,
  /// and for the last one before the job goes on.
  std::function<bool(const RelionIteration&)> hopeless = {};
};

struct RunProgress {
  LogProgress log;
  int finished_iterations = 0;
  double elapsed = 0;          ///< s, all segments
  std::optional<double> left;  ///< s until the stop rule ends the job at the latest; no value without one
};

enum class RunEnd {
  converged,        ///< RELION stopped by itself and wrote the joined map
  iteration_limit,  ///< --auto_iter_max
  time_limit,       ///< max_seconds; the job was ended between or within iterations
  hopeless,         ///< RelionJob::hopeless
  cancelled         ///< the caller asked for it; call again to continue
};
std::string describe(RunEnd end);

/// Wall-clock times of a job, kept in `<folder>/timeline.json` and continued by later segments.
struct Timeline {
  struct Entry {
    int iteration = 0;
    double seconds = 0;  ///< from the end of the iteration before (or the segment's start)
  };
  std::vector<Entry> iterations;
  double total_seconds = 0;  ///< all segments, including work lost at interruptions
  double cpu_seconds = 0;    ///< user and system time of all processes of finished segments
  int segments = 0;
  std::optional<RunEnd> end;  ///< unset while unfinished (cancelled counts as unfinished)
};
Timeline read_timeline(const std::string& folder);  ///< empty when there is none yet

/// Words of the command for a fresh start, or for --continue when `from` is given.
std::vector<std::string> relion_command(const RelionJob& job, const std::optional<RelionIteration>& from);

/// Whether a variable of the caller reaches cryored-reconstruct in a refinement: of the CRYORED_ ones those that say
/// where it computes and where its files are. What decides the map is the job's own alone, which is what is recorded.
bool reaches_refinement(const std::string& variable);

/// Runs the job unless its timeline says that it ended (an end by a stop rule counts only while
/// that rule still ends it); continues from the last finished
/// iteration if there is one. `report` is called about twice a second; `cancelled` is asked
/// as often. cryored-reconstruct sees no config file of the caller, nor variables but those of reaches_refinement().
/// The log goes to `<folder>/relion.log` (segments appended).
/// Throws InputError where the folder has iterations beyond the limit, SystemError (mpirun or RELION missing, RELION
/// failed: with the end of its log).
RunEnd run_relion(const RelionJob& job, const std::function<void(const RunProgress&)>& report,
                  const std::function<bool()>& cancelled);

}  // namespace cryored
