#include "evaluation/controls.hpp"

#include <filesystem>

#include "core/base/atomic_file.hpp"
#include "core/formats/mrc.hpp"
#include "simulation/density.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace fs = std::filesystem;

std::string start_map(const std::string& kind, const ParticleOptions& options, const std::string& folder) {
  const std::string own = (fs::path(folder) / "initial.mrc").string();
  if (kind.empty()) return own;
  if (kind == "mirrored") {
    const std::string path = (fs::path(folder) / "initial_mirrored.mrc").string();
    if (!fs::exists(path)) write_mrc(path, mirrored(read_mrc(own)), options.pixel_size);
    return path;
  }
  const fs::path other = fs::path(folder) / ("start" + start_map_suffix(kind));
  if (!fs::exists(other / "complete")) {
    ParticleOptions few = options;
    few.count = 2;
    simulate_particles(read_structure(kind), few, other.string());
    write_text_atomically((other / "complete").string(), "");
  }
  return (other / "initial.mrc").string();
}

std::string start_map_suffix(const std::string& kind) {
  if (kind.empty()) return "";
  return kind == "mirrored" ? "_mirrored" : "_from_" + structure_id(kind);
}

}  // namespace cryored
