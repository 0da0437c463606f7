#pragma once
// The cells of the benchmark one by one: where each stands, and running it.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "evaluation/benchmark.hpp"
#include "evaluation/benchmark_record.hpp"

namespace cryored {

struct BenchmarkWeights {
  WeightsIdentity identity;
  std::string path;  ///< to be named on cryored-reconstruct's command line; empty: what that takes by itself
  std::vector<std::string> files = {};  ///< SHA-256 of each weights file that a refinement may choose
};

struct BenchmarkSetup {
  std::string cells;                             ///< folder of data sets and cells
  std::string results;                           ///< folder of the records
  std::string program;                           ///< cryored-reconstruct
  std::vector<std::string> relion_options = {};  ///< more words for relion_refine_mpi
  std::string version, commit;                   ///< of this program
  /// Of the modes without a label, for maps of this pixel size (A), which may decide the network.
  std::function<BenchmarkWeights(double)> weights;
  std::map<std::string, BenchmarkWeights> labelled;  ///< by mode: "red-gaussian-noise"
  /// Structure files by PDB identifier.
  std::map<std::string, std::string> structures;
  /// One pass of the network (map, pixel size in A, nominal resolution in A); of `weights`.
  std::function<Map(const Map&, double, double)> denoise;
};

/// The weights of a cell; none for modes without a network. Throws UsageError for a label that has none.
std::optional<BenchmarkWeights> weights_of(const BenchmarkCell& cell, const BenchmarkSetup& setup);

enum class CellState {
  done,           ///< there is a record
  running,        ///< another process works on it
  started,        ///< begun and interrupted: goes on from RELION's last finished iteration
  open,           ///< not begun
  waits,          ///< for the plain refinement of its data set, which sets its stop rule or whose map it takes
  needs_weights,  ///< --weights-mode gives none
  needs_structure,
  refused  ///< its record, or that of its plain refinement, is of other options or another structure, or damaged
};
std::string describe(CellState state);

struct CellStanding {
  CellState state = CellState::open;
  double seconds = 0;          ///< so far
  std::optional<double> left;  ///< s, a guess from finished cells (time_guess)
  std::string fault;           ///< why it is refused
};
CellStanding standing(const BenchmarkCell& cell, const BenchmarkSetup& setup, const std::vector<CellRecord>& records);

/// Seconds that a cell will take: the mean of finished cells of the same mode, SNR and structure; else, of what is
/// nearest: same structure and SNR in another refinement, same SNR and mode, same mode, any refinement. Scaled with the
/// number of particles. No value while nothing is finished.
std::optional<double> time_guess(const BenchmarkCell& cell, const std::vector<CellRecord>& records);

/// Runs, or continues, a cell and writes its record. Returns nothing when it was cancelled or another process holds the
/// cell. Its plain refinement must be done where it `waits`. Throws Error.
std::optional<CellRecord> run_benchmark_cell(const BenchmarkCell& cell, const StopRule& rule,
                                             const BenchmarkSetup& setup,
                                             const std::function<void(const RunProgress&)>& report,
                                             const std::function<void(int)>& simulated,
                                             const std::function<bool()>& cancelled);

}  // namespace cryored
