#include "models/normalise.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"

namespace cryored {

const char* to_string(Normalisation rule) {
  switch (rule) {
    case Normalisation::none:
      return "none";
    case Normalisation::standard_deviation:
      return "standard_deviation";
    case Normalisation::contrast:
      return "contrast";
  }
  return "?";
}

bool from_string(const std::string& text, Normalisation& rule) {
  for (const auto r : {Normalisation::none, Normalisation::standard_deviation, Normalisation::contrast})
    if (text == to_string(r)) {
      rule = r;
      return true;
    }
  return false;
}

float map_scale(const float* voxels, std::size_t count, Normalisation rule) {
  double sum = 0, largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double v = voxels[i];
    if (!std::isfinite(v))
      throw InputError(Problem{"map to be denoised", "voxel " + std::to_string(i), std::to_string(v), "finite values",
                               "check the reconstruction that this map comes from"});
    sum += v;
    largest = std::max(largest, std::abs(v));
  }
  if (rule == Normalisation::none || count == 0 || largest == 0) return 1;
  const double n = static_cast<double>(count), mean = rule == Normalisation::contrast ? 0.0 : sum / n;
  // Powers of values relative to the largest one: maps may be on any grey scale, 1e-20 or 1e+20.
  double second = 0, fourth = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double d = (voxels[i] - mean) / largest, d2 = d * d;
    second += d2;
    fourth += d2 * d2;
  }
  if (second / n < 1e-14) return 1;  // constant but for rounding
  const double square = rule == Normalisation::contrast ? fourth / (3 * second) : second / n;
  return static_cast<float>(std::sqrt(square) * largest);
}

}  // namespace cryored
