#pragma once
// Particle stacks simulated from a structure, as relion_refine takes them.

#include <cstdint>
#include <functional>
#include <string>

#include "simulation/density.hpp"
#include "simulation/noise.hpp"

namespace cryored {

/// Distribution of the orientations. Uniform over the rotation group; or preferred: `share` of the particles lie with
/// the map's z axis along the beam, up or down, tilted away by a rotation whose three components are normal with
/// `spread` degrees, at any angle in the plane, and the others anyhow.
struct ViewOptions {
  bool preferred = false;
  double share = 0.8, spread = 20;
};

struct CtfOptions {
  bool on = false;
  double voltage = 300;                               ///< kV
  double spherical_aberration = 2.7;                  ///< mm
  double amplitude_contrast = 0.1;                    ///< fraction
  double least_defocus = 8000, most_defocus = 20000;  ///< A, of the mean of U and V: uniform
  double astigmatism = 0;                             ///< A, U - V: uniform from 0, at any angle
  double phase_shift = 0;                             ///< degrees
  double least_b_factor = 0, most_b_factor = 0;       ///< A^2, envelope: uniform
  double beam_tilt_x = 0, beam_tilt_y = 0;            ///< mrad
};

struct ParticleOptions {
  std::size_t box = 48;     ///< pixels
  double pixel_size = 2.5;  ///< A
  int count = 1000;
  double snr = 0.1;              ///< variance of the signal over the whole image / variance of the noise
  double shift_sigma = 1;        ///< pixels, each axis, normal
  double b_factor = 50;          ///< A^2, of every atom
  double start_resolution = 30;  ///< A, low-pass of initial.mrc
  std::uint64_t seed = 1;
  bool hydrogens = false;  ///< those of the structure file count; for prepare_data_set and the like, which read it
  /// > 0: the scale of Kimanius et al. instead of `snr`: the density as EMAN's pdb2mrc makes it (pdb2mrc_resolution),
  /// times this factor, and noise of unit variance.
  double factor = 0;
  double pdb2mrc_resolution = 3;  ///< A
  ViewOptions views;
  CtfOptions ctf;
  NoiseOptions noise;
  bool noise_only = false;  ///< images without signal; maps and STAR files as ever
  /// > 0: the phases of each image, signal and noise, are replaced by random ones beyond this resolution in A: what a
  /// refinement finds there is its own invention (Chen et al., Ultramicroscopy 135 (2013) 24).
  double randomise_phases_beyond = 0;
  bool mirrored_start = false;  ///< initial.mrc is the truth's mirror image
  std::string other_start;      ///< structure file: initial.mrc is made of it instead
};

/// The other hand: z becomes -z about voxel N/2. Cubic maps.
Map mirrored(const Map& map);

/// What lies in the folder afterwards. The noise has unit variance; all maps are on the images' grey scale.
struct ParticleFiles {
  std::string stack;       ///< particles.mrcs
  std::string star;        ///< particles.star: RELION 3.1, optics group, CTF where on, no orientations
  std::string truth_star;  ///< particles_truth.star: the same rows with rot, tilt, psi and origins
  std::string truth;       ///< truth.mrc, without CTF
  std::string initial;     ///< initial.mrc: truth low-passed (raised cosine over two shells)
  double snr = 0;          ///< of the images as made, CTF included; mean over 64 views
};

/// Streams: memory is that of some hundred images and of the padded map's transform. Uses threads(); the files do not
/// depend on their number. `progress` is called with the number of images done. Throws UsageError for options outside
/// their range, InputError, SystemError.
ParticleFiles simulate_particles(const Structure& structure, const ParticleOptions& options, const std::string& folder,
                                 const std::function<void(int)>& progress = {});

}  // namespace cryored
