#pragma once
// A particle stack for RELION made by wave optics: exposures in ice with counting noise, normalised, poses known.

#include <functional>
#include <string>

#include "evaluation/phase_scene.hpp"

namespace cryored {

struct PhaseStackOptions : PhaseOptics {
  PhaseStackOptions() : PhaseOptics{80, 2, {}, 8000, 18000, 300, 50, 40, 1} {}
  int count = 600;
  double shift = 2;  ///< A, SD of each coordinate
};

/// Names as in simulate_particles(): particles.mrcs, particles.star (RELION 3.1, CTF, no poses), particles_truth.star,
/// truth.mrc, the potential on the images' grey scale, in vacuum and without hydrogens. To first order the images are
/// projections of a potential times the CTF, but of one with hydrogens, less that of the ice it displaces: fine detail
/// is the truth's, at low resolution the truth is about twice as strong.
/// `progress` is called with the number of images done; when `cancelled` says so, the stack is given up and false
/// returned. Throws SystemError.
bool make_phase_stack(const Structure& structure, const PhaseStackOptions& options, const std::string& folder,
                      const SimulateExposures& simulate, int threads, const std::function<void(int)>& progress,
                      const std::function<bool()>& cancelled);

}  // namespace cryored
