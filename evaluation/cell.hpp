#pragma once
// A cell of the refinement benchmark: one data set, refined in one way, scored.

#include <functional>
#include <string>
#include <vector>

#include "evaluation/relion_run.hpp"
#include "evaluation/score.hpp"
#include "simulation/data_set.hpp"

namespace cryored {

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
