#pragma once
// A cell of the refinement benchmark: one data set, refined in one way, scored.

#include <functional>
#include <string>
#include <vector>

#include "benchmarks/refine/relion_run.hpp"
#include "benchmarks/refine/score.hpp"
#include "training/particles.hpp"

namespace cryored {

/// A simulated data set in `folder`: particles.star, particles.mrcs, truth.mrc, initial.mrc ...
struct DataSet {
  std::string name;       ///< for tables: "4AKE"
  std::string structure;  ///< PDB or mmCIF file
  ParticleOptions options;
  std::string folder;
  double diameter = 0;      ///< A, of RELION's particle mask; set by prepare_data_set
  bool noise_only = false;  ///< images without particles (replace_by_noise)
};

/// Simulates the particles unless the folder holds them already, from the same structure and
/// options (compared with `<folder>/dataset.json`; a folder of another data set is an
/// InputError). Sets `diameter`: the structure's, with 5 A around it, within the box.
void prepare_data_set(DataSet& data, const std::function<void(int)>& progress = {});

/// How the maps are reconstructed. `external` is the value for
/// RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE, empty for RELION's own maximisation.
struct RefineMode {
  std::string name;
  std::string external;
};

/// The modes by name: plain; gaussian, red (lambda 1), cw-red and per-shell (its confidence) through `program`
/// (cryored-reconstruct), with `options` appended. Throws UsageError for another name.
RefineMode refine_mode(const std::string& name, const std::string& program, const std::string& options = {});

struct Cell {
  std::string name;  ///< also that of its folder
  RefineMode mode;
  std::string folder;
  RelionOptions relion;
  std::string start;  ///< start_map(): empty, "mirrored" or another structure's file
};

struct CellResult {
  RunEnd end = RunEnd::cancelled;
  Timeline timeline;
  RefinementScore score;
  std::string relion_version;
};

/// Runs (or continues) and scores a cell. `<folder>/cell.json` holds what was asked for,
/// `<folder>/score.json` the score, `<folder>/timeline.json` the times. A finished cell is not
/// run again; one that was started with other options is an InputError.
/// When cancelled, nothing is scored.
CellResult run_cell(const Cell& cell, const DataSet& data, const Truth& truth,
                    const std::function<void(const RunProgress&)>& report, const std::function<bool()>& cancelled);

}  // namespace cryored
