#pragma once
// RED and CW-RED, eq. (17) of Kimanius et al. (IUCrJ 2021): x = (B + lambda f(B/K) tau^-2) / (K + tau^-2),
// on RELION's padded grid and with its gridding correction. docs/red.md derives what is computed here.

#include <vector>

#include "core/fourier/shells.hpp"
#include "core/reconstruct/denoiser.hpp"
#include "core/reconstruct/pipeline.hpp"
#include "core/reconstruct/symmetry.hpp"

namespace cryored {

/// Weights with and without tau^-2 on one ball. `none` gives B/K, the denoiser's input.
struct RedWeights {
  FourierWeights tau2, none;
};

/// B/K as a map: RELION's pipeline with W = K, cut at r_max. N^3, origin at N/2. `none` are the weights without tau^-2.
Map unregularised_map(const ReconstructRequest& request, const RequestArrays& arrays, const FourierWeights& none,
                      const ReconstructOptions& options = {});
/// The same with weights of its own.
Map unregularised_map(const ReconstructRequest& request, const RequestArrays& arrays);

/// The weights with tau^-2, in each shell times weighed_prior(lambda of the shell, prior_weight).
FourierWeights weights_with_prior(const ReconstructRequest& request, const RequestArrays& arrays,
                                  const std::vector<double>& lambda, double prior_weight,
                                  const ReconstructOptions& options = {});

/// One pass of the denoiser.
struct DenoiserPass {
  Map denoised;         ///< f(m) on the grid of m, N^3; equal to m beyond the denoiser's Nyquist frequency
  ResampleBoxes boxes;  ///< box and voxel size (A) at which the denoiser saw the map
  double seconds_denoiser = 0, seconds_symmetry = 0;
};

/// Hands the unregularised map m (N^3, pixel_size A) to the denoiser at its own voxel size, averages
/// what it changed over the symmetry and brings it back. Outside the sphere r = N/2, where finish() leaves
/// nothing but a constant over sinc^2, the denoiser sees the constant. Throws SystemError when the
/// denoiser returns another box or a value that is not finite.
DenoiserPass denoise(const ReconstructRequest& request, const Map& unregularised, double pixel_size, Denoiser& denoiser,
                     const Symmetry& symmetry);

/// A map as unregularised_map() and DenoiserPass::denoised have it, as the denoiser sees it: the division by sinc^2 is
/// undone beyond the sphere r = N/2. Maps must be compared so: at padding 1 that division makes whatever a denoiser
/// leaves in the corners up to forty times stronger than in the molecule. (V does not see it: F multiplies again.)
Map as_seen(const ReconstructRequest& request, Map map);
/// And back.
Map as_reconstructed(const ReconstructRequest& request, Map map);

/// V of eq. (17) on the padded grid,
///   V = B n_W + l (1 - n_W / n_K) [F(f) + alpha (B n_K - F(m))],
/// with l = lambda of the shell (0 .. N/2), n_W and n_K the gridded weights with and without tau^-2, and F
/// the transform of a map on the padded grid (spectrum_of). The denoiser has seen only the box: outside it,
/// what B/K holds there, B n_K - F(m), keeps the mean gain that the denoiser has in the shell,
/// alpha = Re <F(m), F(f)> / <F(m), F(m)>, clamped to 0 .. 1. So a denoiser that only scales shells, the identity
/// among them, gives exactly B n_W + l alpha B (n_K - n_W). finish() makes the map of V.
BallSpectrum red_spectrum(const ReconstructRequest& request, const RequestArrays& arrays, RedWeights&& weights,
                          const Map& unregularised, const Map& denoised, const std::vector<double>& lambda);

/// alpha of each shell 0 .. N/2; 0 where F(m) has no power.
std::vector<double> denoiser_gain(const ReconstructRequest& request, const HalfBall& ball, const BallSpectrum& before,
                                  const BallSpectrum& after);

}  // namespace cryored
