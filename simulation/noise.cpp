#include "simulation/noise.hpp"

#include <boost/random/normal_distribution.hpp>
#include <cmath>

#include "core/fourier/grid.hpp"

namespace cryored {

std::mt19937_64 image_generator(std::uint64_t seed, std::uint64_t image) {
  // splitmix64 of both: neighbouring images get unrelated states.
  std::uint64_t z = seed * 0xD1B54A32D192ED03ull + (image + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return std::mt19937_64(z ^ (z >> 31));
}

void add_white_noise(std::mt19937_64& rng, float* values, std::size_t count) {
  // Boost's ziggurat: several times faster than the standard library's, and the same everywhere.
  boost::random::normal_distribution<float> normal(0, 1);
  for (std::size_t i = 0; i < count; ++i) values[i] += normal(rng);
}

std::vector<float> noise_amplitudes(const NoiseOptions& options, std::size_t box, double pixel_size) {
  std::vector<float> amplitudes((box / 2 + 1) * box, 1.f);
  if (!options.coloured) return amplitudes;
  const double unit = options.falloff / (static_cast<double>(box) * pixel_size);
  double sum = 0;
  for (std::size_t y = 0; y < box; ++y)
    for (std::size_t x = 0; x <= box / 2; ++x) {
      const double s = unit * std::hypot(static_cast<double>(x), static_cast<double>(signed_frequency(y, box)));
      const double power = options.floor + (1 - options.floor) / (1 + s * s);
      amplitudes[y * (box / 2 + 1) + x] = static_cast<float>(power);
      sum += (x == 0 || 2 * x == box ? 1 : 2) * power;  // the other half is the mirror image
    }
  const double mean = sum / static_cast<double>(box * box);
  for (float& a : amplitudes) a = static_cast<float>(std::sqrt(a / mean));
  return amplitudes;
}

}  // namespace cryored
