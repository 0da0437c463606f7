#pragma once
// Image formation, differentiable: the one implementation that simulation, phase retrieval and its baselines share.
// This header brings in torch (slow to compile).
//
//   phase      phi  = sqrt(1 - a^2) sigma V_z, radians; V_z the projected potential in V A, a the amplitude contrast
//   exit wave  psi  = exp[(i sqrt(1 - a^2) - a) sigma V_z] = exp[(i - a / sqrt(1 - a^2)) phi]
//   intensity  g    = |F^-1{H F psi}|^2, 1 where nothing scatters
// (Yang et al. 2025, eqs. 1, A1 to A5.) H = E exp[-i(chi - phase plate)] exp(i p): chi is RELION's symmetric phase
// without amplitude contrast (which stays in psi), p its antisymmetric one, E the envelope, and H(0) = 1. To first
// order in phi, g - 1 = -2 sigma F^-1{CTF exp(i p) F V_z} at every frequency but zero, CTF being RELION's.
//
// Tensors are [batch, y, x] with x fastest; frequencies in FFT order, both halves. All functions differentiate with
// respect to their tensors, on the CPU and on a GPU, in single or double precision.

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <vector>

#include "core/imaging/ctf.hpp"

namespace cryored {

/// H of each entry, [B, box, box], complex of the precision of `options`' type (kFloat or kDouble), on its device.
/// The scale factor of RELION's CTF is not in it: it scales contrasts, not waves.
torch::Tensor transfer_function(const std::vector<CtfParameters>& ctfs, std::int64_t box, double pixel_size,
                                const torch::TensorOptions& options = torch::kFloat);

/// a / sqrt(1 - a^2) of each entry, [B, 1, 1]: how much of the phase is absorbed as well.
torch::Tensor absorption(const std::vector<CtfParameters>& ctfs, const torch::TensorOptions& options = torch::kFloat);

/// phi [B, y, x] from the projected potential in V A, and back.
torch::Tensor phase_from_potential(const torch::Tensor& potential, const std::vector<CtfParameters>& ctfs);
torch::Tensor potential_from_phase(const torch::Tensor& phase, const std::vector<CtfParameters>& ctfs);

/// psi = exp[(i - absorption) phi], complex.
torch::Tensor exit_wave(const torch::Tensor& phase, const torch::Tensor& absorption);

/// phi of the exit wave nearest to `wave` in the sense of log psi = (i - absorption) phi: least squares over the
/// wave's argument and the logarithm of its modulus. Arguments are taken in -pi .. pi. Where the wave vanishes, 0 with
/// gradient 0.
torch::Tensor phase_of(const torch::Tensor& wave, const torch::Tensor& absorption);

/// ln |wave|; where the wave vanishes, 0 with gradient 0.
torch::Tensor log_modulus(const torch::Tensor& wave);

/// T with F(g - 1) = T F phi to first order: -2 / sqrt(1 - a^2) times RELION's CTF with its antisymmetric phase.
torch::Tensor linear_transfer(const torch::Tensor& transfer, const torch::Tensor& absorption);

/// The linear estimate of phi [B, n, n] from g: F^-1{conj(T) / (|T|^2 + noise) F(g - 1)}, g embedded in 1 on the
/// transfer function's grid.
torch::Tensor wiener_phase(const torch::Tensor& g, const torch::Tensor& transfer, const torch::Tensor& absorption,
                           double noise);

/// F^-1{H F wave}.
torch::Tensor propagate(const torch::Tensor& wave, const torch::Tensor& transfer);

/// |propagate(psi)|^2, real.
torch::Tensor intensity(const torch::Tensor& wave, const torch::Tensor& transfer);

/// F^-1{conj(H) / (|H|^2 + epsilon) (1 + epsilon) F wave}: the inverse of propagate without an envelope, and a
/// regularised one with it (never 1 / E).
torch::Tensor back_propagate(const torch::Tensor& wave, const torch::Tensor& transfer, double epsilon = 1e-2);

/// sqrt(g) with g brought into floor .. ceiling first: finite with finite gradient for every g but NaN, also 0 and
/// below.
torch::Tensor amplitude_of(const torch::Tensor& g, double floor = 1e-3, double ceiling = 1e4);

/// Eq. (4): propagates psi, keeps the phase and gives it the modulus `amplitude`, propagates back. `window` [y, x] or
/// [B, y, x], 0 to 1: where it is below 1 nothing was measured, and the wave keeps its own modulus in proportion.
torch::Tensor physics_step(const torch::Tensor& psi, const torch::Tensor& transfer, const torch::Tensor& amplitude,
                           const torch::Tensor& window);

/// What a counting detector makes of g: Poisson counts of mean `electrons` g (electrons per pixel, a number or
/// [B, 1, 1]; g below 0 counts as 0) plus normal noise of SD `read_noise` electrons, divided by `electrons`. Not
/// differentiated. The same generator state gives the same noise.
torch::Tensor counted(const torch::Tensor& g, const torch::Tensor& electrons, double read_noise,
                      const at::Generator& generator);

/// Puts [B, n, n] in the middle of [B, padded, padded] filled with `value`; pixel n/2 comes to pixel padded/2. And
/// back.
torch::Tensor pad_images(const torch::Tensor& images, std::int64_t padded, double value);
torch::Tensor crop_images(const torch::Tensor& images, std::int64_t box);

/// 1 in the middle box x box pixels less `taper` at each edge, falling as a raised cosine over `taper` pixels to 0 at
/// the box's edge and beyond: [padded, padded].
torch::Tensor measured_window(std::int64_t box, std::int64_t padded, std::int64_t taper,
                              const torch::TensorOptions& options = torch::kFloat);

}  // namespace cryored
