#include "benchmarks/refine/controls.hpp"

#include <filesystem>
#include <random>

#include "core/base/atomic_file.hpp"
#include "core/formats/mrc.hpp"
#include "training/density.hpp"
#include "training/structures.hpp"

namespace cryored {
namespace fs = std::filesystem;

Map mirrored(const Map& map) {
  Map out(map.nx, map.ny, map.nz);
  const std::size_t plane = map.nx * map.ny;
  for (std::size_t z = 0; z < map.nz; ++z)
    // Voxel N/2 stays; 0, which has no counterpart, too.
    std::copy_n(map.data.begin() + static_cast<std::ptrdiff_t>((z == 0 ? 0 : map.nz - z) * plane), plane,
                out.data.begin() + static_cast<std::ptrdiff_t>(z * plane));
  return out;
}

void replace_by_noise(const std::string& stack, double pixel_size, std::uint64_t seed) {
  const std::string made = stack + ".noise";
  {
    const MrcFile old(stack);
    const auto& header = old.header();
    MrcStackWriter out(made, header.nx, header.ny, header.nz, pixel_size);
    std::mt19937_64 rng(seed ^ 0x9E3779B97F4A7C15ull);
    std::normal_distribution<float> noise(0, 1);
    Map image(header.nx, header.ny, 1);
    for (std::size_t i = 0; i < header.nz; ++i) {
      for (float& v : image.data) v = noise(rng);
      out.append(image.data.data());
    }
    out.close();
  }
  fs::rename(made, stack);
}

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
