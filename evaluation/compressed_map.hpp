#pragma once
// Maps as small files: MRC of float16 (mode 12), gzipped.

#include <string>

#include "core/fourier/grid.hpp"

namespace cryored {

/// Writes atomically. float16 has three digits and a narrow range, so the map is scaled to a largest magnitude of 1000;
/// returns that factor. The same map gives the same bytes. Throws SystemError.
double write_compressed_map(const std::string& path, const Map& map, double pixel_size);

/// Throws InputError when the file is damaged.
Map read_compressed_map(const std::string& path);

}  // namespace cryored
