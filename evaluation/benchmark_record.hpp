#pragma once
// What is kept of a finished cell: one small JSON file, and the final map beside it. Tables and page are made from
// these alone, so they can be made anew without a refinement.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "evaluation/benchmark.hpp"
#include "evaluation/score.hpp"

namespace cryored {

/// What a mode's network was. Where a refinement chooses between several by its resolution, their names joined by "+"
/// and the digests of their digests.
struct WeightsIdentity {
  std::string name, sha256;    ///< empty for modes without a network
  std::string network_sha256;  ///< of the network alone (network_digest)

  /// The digest that cells of a mode are known by: of the file where lambda comes from its table (per-shell, and
  /// default, which may be that), else of the network alone, so that another table leaves them as they are. The file's
  /// where the network's is not known.
  const std::string& key(const std::string& mode) const;
};
/// Of those that a refinement chooses between by `rule` (choice_rule()); one alone stays as it is.
WeightsIdentity joint_identity(const std::vector<WeightsIdentity>& several, const std::string& rule);

struct CellRecord {
  // What was computed.
  std::string data_set, structure, mode, group;
  bool large = false;
  std::string particles;         ///< JSON of the options, as particle_options_json()
  std::string structure_sha256;  ///< of the file; empty where an older version did not note it
  double snr = 0;                ///< of the images, CTF included
  double factor = 0;             ///< as in ParticleOptions
  std::uint64_t seed = 1;
  // With what.
  WeightsIdentity weights;
  std::string program_version, program_commit;  ///< of cryored: the one that reconstructed, else the one that scored
  std::string relion_version, relion_sha256;    ///< empty where not recorded
  std::vector<std::string> command;             ///< of RELION, without folders
  std::string external;                         ///< RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE, without folders
  // What came of it.
  std::string end;  ///< describe(RunEnd), or "reconstructed", "denoised" for modes without a refinement
  double seconds = 0, cpu_seconds = 0;
  double map_scale = 0;  ///< the stored map over the map (write_compressed_map); 0: no map is kept
  RefinementScore score;

  std::string key() const { return weights.key(mode); }
  double requested_snr() const;  ///< read from `particles`; 0 with a factor
  std::string path;              ///< of the JSON file; set when read
  /// The final map's file beside it.
  std::string map_path() const;
};

/// "cw-red@adcf43cb", or the mode alone without weights: name of the cell's folder and of its record.
std::string keyed_mode(const std::string& mode, const std::string& weights_key);

/// Schema "cryored-benchmark-cell" (docs/refinements.md). Numbers are rounded to five digits.
std::string record_json(const CellRecord& record);
CellRecord parse_record(const std::string& text, const std::string& path_for_messages);

/// That the record is of the cell's data set and RELION was asked for the cell's options, as far as it states them:
/// names do not hold all of them. `structure` is the cell's file; empty: not compared. `extra` are more words that
/// RELION would get (RelionOptions::extra); those that only say where and how fast it runs do not matter; none: not
/// compared. Throws InputError naming record, field, what it says and what is wanted.
void require_same_data(const CellRecord& record, const BenchmarkCell& cell, const std::string& structure);
void require_same_options(const CellRecord& record, const BenchmarkCell& cell,
                          const std::optional<std::vector<std::string>>& extra);

/// Writes <folder>/<data set>/<keyed mode>.mrc.gz (where there is a map) and .json, in this order. Returns the record's
/// path.
std::string write_record(const std::string& folder, CellRecord record, const Map* final_map);

/// Compares the final map that was kept beside the record with the truth's file again, without a mask, and writes the
/// record anew: for records of a score whose figures without a mask are not read any more (parse_score_json()). The
/// maps of the iterations are gone, so theirs stay left out. False where no map was kept.
bool rescore(CellRecord& record, const std::string& truth, double padding);

/// <folder>/truth/<structure>_box48_2.5A.mrc.gz: one for all data sets of that size and density. A density that is not
/// the usual one is in the name: _pdb2mrc3A with a factor, else _B80, then _hydrogens.
std::string truth_path(const std::string& folder, const std::string& structure, const ParticleOptions& options);

/// All records below a folder, sorted by path; none when the folder is missing. What is wrong with one that cannot be
/// read goes to `damaged`, which leaves it out; without `damaged` it is thrown, InputError or SystemError.
std::vector<CellRecord> read_records(const std::string& folder,
                                     const std::function<void(const std::string& path, const Error&)>& damaged = {});
std::optional<CellRecord> read_record(const std::string& folder, const std::string& data_set, const std::string& mode,
                                      const std::string& weights_key);

}  // namespace cryored
