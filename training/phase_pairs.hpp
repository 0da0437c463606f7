#pragma once
// Images of particles with their true phase, simulated with the image formation that retrieval uses
// (models/imaging/wave.hpp): the data of the task "pinn", and of evaluations.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/fourier/grid.hpp"
#include "core/imaging/ctf.hpp"
#include "simulation/phase_image.hpp"
#include "simulation/potential.hpp"

namespace cryored {

/// Throws UsageError for options out of range, InputError for CTF parameters out of range. One thread.
PhaseImage simulate_phase_image(const Structure& structure, const PhaseImageOptions& options);

/// `count` exposures and `blanks` without the particle; the first exposure is the one of simulate_phase_image, the
/// others' seeds follow from options.seed. The potential is projected once.
PhaseExposures simulate_phase_exposures(const Structure& structure, const PhaseImageOptions& options, int count,
                                        int blanks);

/// What examples are drawn from: ranges are uniform, those of pixel size and defocus in their logarithm; low = high
/// fixes a value.
struct PhaseSetting {
  using Range = std::pair<double, double>;
  std::string name;
  std::size_t box = 128;
  std::int64_t pairs = 0;  ///< so many fixed pairs; 0: a new one for every draw
  Range pixel_size{1, 1};
  std::vector<std::pair<double, double>> microscopes{{200, 2}};  ///< voltage (kV) and Cs (mm), drawn evenly
  double amplitude_contrast = 0.1;
  Range defocus{10000, 10000};  ///< A; images of a group lie within 10 % of each other in defocus
  double astigmatism = 0;       ///< A, largest difference of U and V
  Range dose{30, 30};           ///< electrons / A^2
  Range ice{300, 300};          ///< A
  Range b_factor{50, 50};       ///< A^2
  double shift = 0;             ///< A, SD of each coordinate

  /// Yang et al. 2025, section 3.1: 200 kV, amplitude contrast 0.1, defocus 1000 nm, Cs 2 mm, 1 A per pixel, 500 pairs
  /// of one particle. The paper states neither dose nor box nor ice: 30 electrons / A^2, 128 pixels, 300 A.
  static PhaseSetting paper();
  /// Three microscopes, 0.5 to 2 um, 15 to 60 electrons / A^2, 0.9 to 2 A per pixel, any number of structures.
  static PhaseSetting general();
  /// "paper" or "general"; throws UsageError.
  static PhaseSetting named(const std::string& name);
};
nlohmann::json to_json(const PhaseSetting& setting);

/// Example `number` of seed `seed`, one of those of `group`: what must be equal for images to share a batch (pixel
/// size, padded box for kPinnGridResolution) depends on the group alone. `structure` is drawn too: an index below
/// `structures`.
struct PhaseDraw {
  std::size_t structure = 0;
  PhaseImageOptions image;
};
PhaseDraw draw_phase_example(const PhaseSetting& setting, std::size_t structures, std::uint64_t seed,
                             std::uint64_t group, std::uint64_t number);

}  // namespace cryored
