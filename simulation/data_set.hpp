#pragma once
// A simulated data set in a folder of its own, made once.

#include <functional>
#include <string>

#include "simulation/particles.hpp"

namespace cryored {

/// `folder` holds particles.star, particles.mrcs, particles_truth.star, truth.mrc, initial.mrc, and dataset.json with
/// what was asked for; `complete` is written last, with what came of it.
struct DataSet {
  std::string name;       ///< for tables: "4AKE"
  std::string structure;  ///< PDB or mmCIF file
  ParticleOptions options;
  std::string folder;
  double diameter = 0;  ///< A, of RELION's particle mask; set by prepare_data_set
  double snr = 0;       ///< of the images; set by prepare_data_set, 0 where an older version made the folder
  std::size_t without_occupancy = 0;  ///< atoms of the structure left out; set by prepare_data_set
};

/// Simulates the particles unless the folder holds them already, from the same structure and
/// options (compared with dataset.json; a folder of another data set is an
/// InputError). Sets `diameter`: the structure's, with 5 A around it, within the box. True when it simulated.
bool prepare_data_set(DataSet& data, const std::function<void(int)>& progress = {});

/// The options as dataset.json and reports have them, units in the names; options that are at their default are left
/// out where they are younger than the first data sets, so that those stay valid.
std::string particle_options_json(const ParticleOptions& options);

/// Part of a folder's name that tells data sets of other options apart: "_ctf_coloured"; empty for plain ones.
std::string particle_options_suffix(const ParticleOptions& options);

/// Throws InputError when the JSON object in `path` has other values for the keys of `wanted` (JSON text); writes them,
/// and `changeable`, when the file is new or those have changed.
void hold_to_options(const std::string& path, const std::string& wanted, const std::string& changeable = "{}");

}  // namespace cryored
