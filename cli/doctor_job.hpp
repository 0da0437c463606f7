#pragma once
// Who made the maps of a RELION job? Answered from the files in its folder: RELION's
// request of each map (<root>_external_reconstruct.star), the map beside it, and the
// record that cryored leaves with the map's digest.

#include <optional>
#include <string>
#include <vector>

namespace cryored {

enum class MapOrigin {
  denoised,  ///< cryored, with the denoiser
  gaussian,  ///< cryored, and its record says that the denoiser did not run
  other,     ///< a map without a record of ours, or one that was overwritten later
  missing,   ///< RELION's request has no map: failed, or running now
};

struct JobMap {
  int iteration = -1;  ///< -1 when the name does not tell
  std::string name;    ///< "run_it004_half1_class001"
  MapOrigin origin = MapOrigin::missing;
  std::string note;                  ///< for the reader, why
  double lambda = -1;                ///< from the record; -1 unknown
  double resolution = -1;            ///< nominal, A; -1 unknown
  std::optional<double> kept_noise;  ///< of the denoiser (docs/guard.md)
  std::string device;
  double seconds = -1;
};

struct JobReport {
  std::vector<JobMap> maps;               ///< by iteration, then name
  std::vector<int> iterations_not_asked;  ///< RELION made maps in these and asked nobody
  std::string command_line;               ///< RELION's, from the newest optimiser file; may be empty
};

/// Throws InputError when the folder does not exist or holds no RELION job.
JobReport examine_job(const std::string& folder);

}  // namespace cryored
