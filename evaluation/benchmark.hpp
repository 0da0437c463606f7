#pragma once
// The refinement benchmark as data: which data sets are refined in which ways, by which rule hopeless ones end.
// docs/refinements.md describes the file.

#include <string>
#include <vector>

#include "evaluation/relion_run.hpp"
#include "simulation/particles.hpp"

namespace cryored {

/// Read from plain refinements only, so that no way of refining is favoured by its own results.
struct StopRule {
  double hopeless = 20;  ///< A: a plain refinement whose mean map's FSC 0.5 to the truth is worse ends as hopeless ...
  int from_iteration = 5;    ///< ... from this iteration on
  double plain_seconds = 0;  ///< wall clock of a plain refinement, s; 0: no limit
  /// The other modes of a data set: where plain was stopped, as many iterations as plain had; where it converged, at
  /// most these more than it needed.
  int iterations_beyond_plain = 5;
  int most_iterations = 0;  ///< of any refinement; 0: no limit
};

/// One data set, refined (or reconstructed) in one way.
struct BenchmarkCell {
  std::string group;      ///< of the file
  std::string structure;  ///< PDB identifier, upper case
  ParticleOptions particles;
  RelionOptions relion;
  std::string mode;    ///< see mode_parts()
  bool large = false;  ///< needs a larger machine; runs only when asked for

  std::string data_set() const;  ///< data_set_name() of structure and particles
  std::string name() const { return data_set() + "/" + mode; }
};

/// Modes: known-angles (relion_reconstruct with the true orientations), plain, plain+denoise (plain's final map through
/// the network once), gaussian, red, cw-red, per-shell, default (whatever cryored-reconstruct does by itself), and any
/// of the last five with "-label" behind it: the same with a network of its own.
struct ModeParts {
  std::string base, label;  ///< "red-gaussian-noise": "red", "gaussian-noise"
  bool refines = true;      ///< by RELION; the other modes are made from a data set or another cell's result
  bool denoises = false;    ///< depends on a network
};
/// Throws UsageError naming the modes that there are.
ModeParts mode_parts(const std::string& mode);

/// Folder of a data set: "4LW4_box48_n2000_snr0.1", then what differs from the usual: "_1.5A", "_ctf_coloured",
/// "_seed2".
std::string data_set_name(const std::string& structure_id, const ParticleOptions& options);

struct Benchmark {
  StopRule rule;
  std::vector<BenchmarkCell> cells;  ///< in the order of the file, which is that of running; each name once
};

/// Reads the JSON text. With `structures` every structure of the file is exchanged for all of these, in each group.
/// Throws InputError naming file, field, value, what is allowed and the remedy; a field that it does not know is an
/// error.
Benchmark parse_benchmark(const std::string& text, const std::string& path_for_messages,
                          const std::vector<std::string>& structures = {});
Benchmark read_benchmark(const std::string& path, const std::vector<std::string>& structures = {});

/// Whether one of the patterns (shell wildcards, separated by commas) fits the cell's name or its group; empty fits
/// all.
bool fits(const BenchmarkCell& cell, const std::string& patterns);

/// The iteration limit of a mode other than plain, from how plain ended after `plain_iterations`; 0: none.
int iteration_limit(const StopRule& rule, RunEnd plain_end, int plain_iterations);

}  // namespace cryored
