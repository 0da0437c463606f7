#pragma once
// Methods of cryored phase that model the wave and learn nothing. Free of torch. On the CPU they compute on `threads`
// threads, a few images on each.

#include <memory>

#include "core/particles/phase_method.hpp"
#include "models/device.hpp"

namespace cryored {

/// Alternating projections (Gerchberg and Saxton, Optik 35 (1972) 237; Fienup, Appl. Opt. 21 (1982) 2758): the physics
/// step (models/imaging/wave.hpp) gives the wave the measured modulus; then the object is made one again whose
/// absorption belongs to its phase, that is 0 outside the box and holds no detail beyond `resolution`.
struct IterativeOptions {
  int iterations = 3;
  double resolution = 3;  ///< A; a raised cosine from 0.9 to 1.1 times 1 / resolution
};
std::unique_ptr<PhaseMethod> make_iterative(const IterativeOptions& options, const DeviceChoice& device, int threads);

/// Plug-and-play with total variation (Yang and Tao, ICASSP 2023): the same, but the object's constraint is a step of
/// TV denoising (isotropic, by fast gradient projection: Beck and Teboulle, IEEE Trans. Image Process. 18 (2009) 2419).
struct TvOptions {
  int iterations = 3;
  /// Weight of the total variation, in units of half the noise of g (which is 1 / sqrt(electrons per pixel)).
  double strength = 0.5;
  int inner = 20;  ///< rounds of the denoiser
};
std::unique_ptr<PhaseMethod> make_tv(const TvOptions& options, const DeviceChoice& device, int threads);

}  // namespace cryored
