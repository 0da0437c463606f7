#pragma once
// Exposures of one particle whose phase is known: what is asked for and what comes back. Computed by
// training/phase_pairs.hpp, which needs LibTorch.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/fourier/grid.hpp"
#include "core/imaging/ctf.hpp"
#include "simulation/orientation.hpp"

namespace cryored {

/// One exposure of one particle.
struct PhaseImageOptions {
  std::size_t box = 128;  ///< pixels, even
  double pixel_size = 1;  ///< A
  CtfParameters ctf;
  double dose = 30;        ///< electrons / A^2; 0: no noise
  double read_noise = 0;   ///< SD in electrons per pixel
  double ice = 300;        ///< A of ice around the particle; 0: none
  double b_factor = 50;    ///< A^2, of every atom
  Rotation rotation;       ///< RELION's convention
  double x = 0, y = 0;     ///< A, move of the particle
  std::size_t padded = 0;  ///< grid that is propagated; 0: padded_box()
  std::uint64_t seed = 1;  ///< of ice and noise; the same particle with another seed is another exposure
};

/// All box x box.
struct PhaseImage {
  Map intensity;  ///< g as counted
  Map clean;      ///< g of the particle alone: no ice around it, no noise
  Map phase;      ///< the truth: phase of the exit wave above that of ice, radians; without the ice layer
};

/// Several exposures of a particle that does not move.
struct PhaseExposures {
  Map clean, phase;              ///< as in PhaseImage
  std::vector<Map> intensities;  ///< with ice and noise of their own
  std::vector<Map> blanks;       ///< without the particle: ice and noise alone, again of their own
};

}  // namespace cryored
