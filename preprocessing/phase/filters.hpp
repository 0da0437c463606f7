#pragma once
// The linear methods: low-pass, phase flip, Wiener filter.

#include <memory>

#include "core/particles/phase_method.hpp"

namespace cryored {

struct LowpassOptions {
  double resolution = 16;  ///< A; a raised cosine from 0.9 to 1.1 times 1 / resolution
};

struct WienerOptions {
  /// Spectral signal-to-noise ratio of the projections before the CTF: snr exp(-b |k|^2 / 2), for white noise.
  double snr = 10;
  double b_factor = 100;  ///< A^2
};

/// These compute with `threads` threads, one image each.
std::unique_ptr<PhaseMethod> make_lowpass(const LowpassOptions& options, int threads);

/// The sign of the CTF, and the phase of beam tilt and odd aberrations taken out.
std::unique_ptr<PhaseMethod> make_flip(int threads);

/// CTF / (CTF^2 + 1 / SSNR), and the phase of beam tilt and odd aberrations taken out. Images are embedded in 0 so
/// that nothing comes back at the opposite edge (padded_box of core/imaging/electrons.hpp).
std::unique_ptr<PhaseMethod> make_wiener(const WienerOptions& options, int threads);

}  // namespace cryored
