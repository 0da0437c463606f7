#include "cli/map_input.hpp"

#include <cmath>

#include "core/base/error.hpp"

namespace cryored {

std::string dimensions_text(const Map& map) {
  return std::to_string(map.nx) + " x " + std::to_string(map.ny) + " x " + std::to_string(map.nz);
}

Map read_finite_map(const std::string& path, MrcHeader& header, bool allow_image) {
  Map map = read_mrc(path, &header);
  if (map.nx != map.ny || (map.nz != map.nx && !(allow_image && map.nz == 1)))
    throw InputError(Problem{path, "dimensions", dimensions_text(map),
                             allow_image ? "a cube, or a square image" : "a cube", "pad or crop the map to a cube"});
  for (std::size_t i = 0; i < map.size(); ++i)
    if (!std::isfinite(map.data[i])) {
      const std::size_t x = i % map.nx, y = i / map.nx % map.ny, z = i / (map.nx * map.ny);
      throw InputError(Problem{
          path, "voxel (" + std::to_string(x) + ", " + std::to_string(y) + ", " + std::to_string(z) + ")",
          std::to_string(map.data[i]), "finite densities", "write the map again with the program that made it"});
    }
  return map;
}

double input_pixel_size(const Settings& settings, const MrcHeader& header, const std::string& path) {
  if (const auto given = settings.optional_number("pixel-size")) return *given;
  return required_pixel_size(header, path);
}

}  // namespace cryored
