#pragma once
// The STAR file of the retrieved phases.

#include <set>
#include <string>
#include <vector>

#include "core/particles/particle_set.hpp"
#include "core/particles/phase_method.hpp"

namespace cryored {

struct OutputStarOptions {
  CtfState ctf = CtfState::corrected;
  bool raw_names = true;            ///< the raw images in rlnReconstructImageName, unless the input has that column
  std::vector<std::string> stacks;  ///< one for each group
  std::set<std::size_t> skipped;    ///< rows left out besides set.bad()
};

/// The input's rows in their order, with the new images. Where the CTF has been corrected, data_optics (without one, as
/// in RELION 3.0, the particles) gets rlnCtfDataAreCtfCorrected 1, where only its signs have been,
/// rlnCtfDataArePhaseFlipped 1. Where the phase of beam tilt and odd aberrations has been taken out (CtfState other
/// than as_before), their columns go, in corrected images the even aberrations' too.
StarFile phase_star(const ParticleSet& set, const OutputStarOptions& options);

}  // namespace cryored
