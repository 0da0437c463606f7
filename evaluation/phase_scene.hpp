#pragma once
// Exposures of particles whose phases are known, to try methods of phase retrieval on.

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/particles/phase_method.hpp"
#include "simulation/density.hpp"
#include "simulation/phase_image.hpp"

namespace cryored {

/// How exposures are made, of scenes and of stacks.
struct PhaseOptics {
  std::size_t box = 128;                               ///< pixels, even
  double pixel_size = 1;                               ///< A
  CtfParameters ctf;                                   ///< microscope; the defoci come from the range
  double least_defocus = 10000, most_defocus = 10000;  ///< A, uniform
  double ice = 300;                                    ///< A
  double b_factor = 50;                                ///< A^2
  double dose = 20;                                    ///< electrons / A^2
  std::uint64_t seed = 1;  ///< of angles, defoci, ice and noise; the same angles for every structure
};

/// One exposure: angles and defocus drawn from `random`, in this order.
PhaseImageOptions draw_exposure(const PhaseOptics& optics, std::mt19937_64& random);

struct PhaseSceneOptions : PhaseOptics {
  int views = 8, exposures = 10;
  int blanks = 2;  ///< exposures of ice alone, per view
};

/// simulate_phase_exposures() of training/phase_pairs.hpp, which LibTorch is behind.
using SimulateExposures = std::function<PhaseExposures(const Structure&, const PhaseImageOptions&, int, int)>;

/// One structure at one dose. Images are as RELION normalises them: background mean 0 and SD 1, particles bright.
struct PhaseScene {
  double dose = 0, pixel_size = 1;  ///< electrons / A^2; A
  double radius = 0;                ///< A, of the sphere that holds the structure
  std::size_t box = 0;
  struct View {
    Map truth;                   ///< radians
    std::vector<Map> exposures;  ///< of one projection
    std::vector<Map> blanks;     ///< ice alone, on the same scale
    CtfParameters ctf;
  };
  std::vector<View> views;
};

/// Views are computed on `threads` threads; the result does not depend on their number.
PhaseScene make_phase_scene(const Structure& structure, const PhaseSceneOptions& options,
                            const SimulateExposures& simulate, int threads);

/// The true phases alone, of the same views.
std::vector<Map> true_phases(const Structure& structure, const PhaseSceneOptions& options,
                             const SimulateExposures& simulate, int threads);

/// work(0) ... work(count - 1), on several threads; the first exception is thrown on.
void in_parallel(int count, int threads, const std::function<void(int)>& work);

}  // namespace cryored
