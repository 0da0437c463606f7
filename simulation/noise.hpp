#pragma once
// Noise of simulated images: white, or with the falling spectrum of real micrographs.

#include <complex>
#include <cstdint>
#include <random>
#include <vector>

namespace cryored {

struct NoiseOptions {
  bool coloured = false;
  /// Coloured: the power at spatial frequency s is proportional to floor + (1 - floor) / (1 + (s d)^2), d = `falloff`
  /// A.
  double falloff = 20, floor = 0.2;
};

/// Generator of image i of a data set: independent of the order in which images are made.
std::mt19937_64 image_generator(std::uint64_t seed, std::uint64_t image);

/// Independent normal values of mean 0 and variance 1.
void add_white_noise(std::mt19937_64& rng, float* values, std::size_t count);

/// sqrt of the noise's power relative to white noise over the half transform of a box x box image, kx fastest; the
/// power's mean over the whole transform is 1, so that the variance of a pixel stays 1.
std::vector<float> noise_amplitudes(const NoiseOptions& options, std::size_t box, double pixel_size);

}  // namespace cryored
