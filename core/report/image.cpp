#include "core/report/image.hpp"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/error.hpp"

namespace cryored {

GreyWindow percentile_window(const std::vector<const Map*>& maps, double low, double high) {
  if (!(low >= 0 && high <= 100 && low < high))
    throw UsageError(
        {"percentile window", "", std::to_string(low) + " and " + std::to_string(high), "0 <= low < high <= 100", ""});
  std::vector<float> values;
  for (const Map* map : maps)
    for (const float v : map->data)
      if (std::isfinite(v)) values.push_back(v);
  if (values.empty()) throw InputError({"picture of a map", "", "no finite voxel", "at least one", ""});
  const auto at = [&](double percent) {
    const auto rank = static_cast<std::ptrdiff_t>(percent / 100 * static_cast<double>(values.size() - 1) + 0.5);
    std::nth_element(values.begin(), values.begin() + rank, values.end());
    return static_cast<double>(values[static_cast<std::size_t>(rank)]);
  };
  GreyWindow window{at(low), at(high)};
  if (!(window.white > window.black)) {
    window.black -= 0.5;
    window.white = window.black + 1;
  }
  return window;
}

GreyImage slice_image(const Map& map, SliceAxis axis, std::size_t index, const GreyWindow& window, std::size_t scale) {
  const std::size_t extent = axis == SliceAxis::x ? map.nx : axis == SliceAxis::y ? map.ny : map.nz;
  if (index >= extent)
    throw UsageError({"slice of a map", "index", std::to_string(index), "0 .. " + std::to_string(extent - 1), ""});
  if (scale == 0) throw UsageError({"slice of a map", "scale", "0", "1 or more", ""});
  const std::size_t columns = axis == SliceAxis::x ? map.ny : map.nx;
  const std::size_t rows = axis == SliceAxis::z ? map.ny : map.nz;
  const auto voxel = [&](std::size_t c, std::size_t r) -> double {
    switch (axis) {
      case SliceAxis::x:
        return map(index, c, r);
      case SliceAxis::y:
        return map(c, index, r);
      default:
        return map(c, r, index);
    }
  };
  // Pixel centre i of the picture lies at (i + 1/2) / scale - 1/2 voxels; edges are repeated.
  struct Tap {
    std::size_t first, second;
    double weight;
  };
  const auto taps = [scale](std::size_t n) {
    std::vector<Tap> out(n * scale);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const double p = std::clamp((static_cast<double>(i) + 0.5) / static_cast<double>(scale) - 0.5, 0.0,
                                  static_cast<double>(n - 1));
      const auto first = static_cast<std::size_t>(p);
      out[i] = {first, std::min(first + 1, n - 1), p - static_cast<double>(first)};
    }
    return out;
  };
  const std::vector<Tap> across = taps(columns), up = taps(rows);

  GreyImage image{columns * scale, rows * scale, {}};
  image.pixels.resize(image.width * image.height);
  const double gain = 255 / (window.white - window.black);
  for (std::size_t j = 0; j < image.height; ++j) {
    const Tap& v = up[image.height - 1 - j];
    for (std::size_t i = 0; i < image.width; ++i) {
      const Tap& h = across[i];
      // A neighbour of weight 0 has no say, even where it is not finite.
      const auto between = [](double weight, double first, double second) {
        return weight == 0 ? first : (1 - weight) * first + weight * second;
      };
      const double lower = between(h.weight, voxel(h.first, v.first), voxel(h.second, v.first));
      const double upper = between(h.weight, voxel(h.first, v.second), voxel(h.second, v.second));
      const double grey = (between(v.weight, lower, upper) - window.black) * gain;
      image.pixels[j * image.width + i] =
          std::isfinite(grey) ? static_cast<std::uint8_t>(std::lround(std::clamp(grey, 0.0, 255.0))) : 0;
    }
  }
  return image;
}

std::array<GreyImage, 3> central_slices(const Map& map, const GreyWindow& window, std::size_t scale) {
  return {slice_image(map, SliceAxis::x, map.nx / 2, window, scale),
          slice_image(map, SliceAxis::y, map.ny / 2, window, scale),
          slice_image(map, SliceAxis::z, map.nz / 2, window, scale)};
}

std::string encode_png(const GreyImage& image) {
  if (image.width == 0 || image.height == 0 || image.pixels.size() != image.width * image.height)
    throw UsageError({"PNG picture", "size", std::to_string(image.width) + " x " + std::to_string(image.height),
                      "width * height == number of pixels > 0", ""});
  png_image png;
  std::memset(&png, 0, sizeof png);
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_GRAY;
  const auto fail = [&png] {
    const std::string message = png.message;
    png_image_free(&png);
    throw SystemError({"PNG picture", "", "libpng: " + message, "", ""});
  };
  png_alloc_size_t size = 0;
  if (!png_image_write_to_memory(&png, nullptr, &size, 0, image.pixels.data(), 0, nullptr)) fail();
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr)) fail();
  bytes.resize(size);
  return bytes;
}

std::string base64(const std::string& bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? static_cast<std::uint8_t>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += k <= left ? digits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

}  // namespace cryored
