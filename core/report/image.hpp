#pragma once
// Grey pictures of maps: slices with a percentile contrast, encoded as PNG.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/fourier/grid.hpp"

namespace cryored {

/// 8-bit grey picture, row by row from the top, left to right.
struct GreyImage {
  std::size_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  ///< width * height
};

/// Densities shown as black and white; values outside are clipped.
struct GreyWindow {
  double black = 0, white = 1;
};

enum class SliceAxis { x, y, z };

/// Window between two percentiles (0 .. 100, low < high) of the finite voxels of all
/// `maps`, so that pictures side by side share one grey scale. A constant map gives a
/// window of width 1 around its value. Throws UsageError for percentiles out of order
/// and InputError when no voxel is finite.
GreyWindow percentile_window(const std::vector<const Map*>& maps, double low, double high);

/// The slice across `axis` at `index` (0-based), enlarged `scale` times by bilinear
/// interpolation. The first remaining axis runs to the right and the second one upwards:
/// z -> (x, y), y -> (x, z), x -> (y, z). Voxels that are not finite come out black.
/// Throws UsageError when `index` lies outside the map or `scale` is 0.
GreyImage slice_image(const Map& map, SliceAxis axis, std::size_t index, const GreyWindow& window,
                      std::size_t scale = 1);

/// Central slices across x, y and z (index N/2 each), in this order.
std::array<GreyImage, 3> central_slices(const Map& map, const GreyWindow& window, std::size_t scale = 1);

/// The PNG file (8-bit grey) as bytes. Throws SystemError when libpng fails, UsageError
/// when the picture is empty or its size does not match its pixels.
std::string encode_png(const GreyImage& image);

/// RFC 4648 base64 with padding, without line breaks.
std::string base64(const std::string& bytes);

}  // namespace cryored
