#pragma once
// Maps that users name on the command line, checked for what the commands need.

#include <string>

#include "cli/options.hpp"
#include "core/formats/mrc.hpp"

namespace cryored {

/// A cubic map (a square image too where allowed) of finite densities. Throws InputError with
/// file, dimensions or voxel, and remedy.
Map read_finite_map(const std::string& path, MrcHeader& header, bool allow_image = false);

/// --pixel-size where given, else the header's. Throws InputError when neither tells.
double input_pixel_size(const Settings& settings, const MrcHeader& header, const std::string& path);

/// "64 x 64 x 64".
std::string dimensions_text(const Map& map);

}  // namespace cryored
