#pragma once
// A cell of the refinement benchmark: one data set, refined in one way, scored.

#include <functional>
#include <optional>
#include <set>
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
  bool records = false;   ///< `external` is cryored-reconstruct, which leaves a record beside each reconstruction
  bool denoises = false;  ///< a network takes part
};

/// The modes by name: plain; gaussian, red (lambda 1), cw-red and per-shell (its confidence) through `program`
/// (cryored-reconstruct), with `options` appended; default: `program` without options on how. Throws UsageError for
/// another name.
RefineMode refine_mode(const std::string& name, const std::string& program, const std::string& options = {});

/// `text` as one word of a shell line: RELION puts the value before the STAR file in one.
std::string shell_word(const std::string& text);
/// Words separated by blanks, those that are absolute paths without their folders: what a record may keep.
std::string without_folders(const std::string& words);

/// What a refinement that goes through a network runs with.
struct CellWeights {
  std::string digest;              ///< goes into cell.json, so that a cell of another network is not taken over
  std::vector<std::string> files;  ///< SHA-256 of each weights file that may be chosen; in cell.json, with those of
                                   ///< earlier runs under the same digest (other tables of confidence, one network)
};

struct Cell {
  std::string name;  ///< also that of its folder
  RefineMode mode;
  std::string folder;
  RelionOptions relion;
  CellWeights weights = {};  ///< empty: none, or not known
  std::string start;         ///< start_map(): empty, "mirrored" or another structure's file
  /// Stop rule: ends as hopeless when, at this iteration or later, the mean map's FSC to the truth falls below 0.5 at a
  /// worse resolution (A) than this; 0: no such rule.
  double hopeless = 0;
  int hopeless_from = 1;
};

/// Which RELION ran, written to `<folder>/program.json` whenever it is started.
struct RelionProgram {
  std::string sha256;                ///< of the file relion_refine_mpi; empty where it was not recorded
  std::vector<std::string> command;  ///< of the first start, file names without folders
};
RelionProgram read_relion_program(const std::string& cell_folder);

/// SHA-256 of the weights that the records of a cell name, each once.
std::set<std::string> weights_in_records(const std::string& cell_folder);

/// That RELION really called cryored: where RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE does not reach its ranks it runs a
/// program of its own without a word. Throws Error naming folder and iteration where a half-map of a mode with
/// `records` has none.
void require_records(const Cell& cell, const RefinementScore& score);

struct CellResult {
  RunEnd end = RunEnd::cancelled;
  Timeline timeline;
  RefinementScore score;
  std::optional<RefinementScore> other_hand;  ///< against other_hand(), for a mirrored start map
  std::string relion_version;
  RelionProgram relion;
};

/// Runs (or continues) and scores a cell. `<folder>/cell.json` holds what was asked for,
/// `<folder>/score.json` the score (for a mirrored start map `score_other_hand.json` that of the other hand),
/// `<folder>/timeline.json` the times. A finished cell is not run again; one that was started with other options is an
/// InputError. When cancelled, nothing is scored. Throws Error where a stop rule ended it before the first iteration,
/// and as require_records().
CellResult run_cell(const Cell& cell, const DataSet& data, const Truth& truth,
                    const std::function<void(const RunProgress&)>& report, const std::function<bool()>& cancelled);

}  // namespace cryored
