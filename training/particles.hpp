#pragma once
// Particle stacks simulated from a structure, as relion_refine takes them.

#include <cstdint>
#include <functional>
#include <string>

#include "training/density.hpp"

namespace cryored {

struct ParticleOptions {
  std::size_t box = 48;     ///< pixels
  double pixel_size = 2.5;  ///< A
  int count = 1000;
  double snr = 0.1;              ///< variance of the signal over the whole image / variance of the noise
  double shift_sigma = 1;        ///< pixels, each axis, normal
  double b_factor = 50;          ///< A^2, of every atom
  double start_resolution = 30;  ///< A, low-pass of initial.mrc
  std::uint64_t seed = 1;
};

/// What lies in the folder afterwards. Images have white noise of unit variance and no
/// CTF; both maps are on their grey scale.
struct ParticleFiles {
  std::string stack;       ///< particles.mrcs
  std::string star;        ///< particles.star: RELION 3.1, optics group, no orientations
  std::string truth_star;  ///< particles_truth.star: the same rows with rot, tilt, psi and origins
  std::string truth;       ///< truth.mrc
  std::string initial;     ///< initial.mrc: truth low-passed (raised cosine over two shells)
};

/// Uniform orientations, normal shifts. Streams: memory is that of one image. `progress` is
/// called with the number of images done. Throws InputError, SystemError.
ParticleFiles simulate_particles(const Structure& structure, const ParticleOptions& options, const std::string& folder,
                                 const std::function<void(int)>& progress = {});

}  // namespace cryored
