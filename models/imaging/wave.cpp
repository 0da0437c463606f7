#include "models/imaging/wave.hpp"

#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <sstream>

#include "core/base/error.hpp"
#include "core/fourier/grid.hpp"
#include "core/imaging/electrons.hpp"

namespace cryored {
namespace {

using torch::Tensor;

/// One number per entry as [B, 1, 1].
template <typename F>
Tensor column(const std::vector<CtfParameters>& ctfs, const torch::TensorOptions& options, F value) {
  auto t = torch::empty({static_cast<std::int64_t>(ctfs.size()), 1, 1}, torch::kDouble);
  for (std::size_t i = 0; i < ctfs.size(); ++i) t.data_ptr<double>()[i] = value(ctfs[i]);
  return t.to(options.dtype(options.dtype() == torch::kDouble ? torch::kDouble : torch::kFloat));
}

double phase_per_potential(const CtfParameters& p) {
  return std::sqrt(1 - p.amplitude_contrast * p.amplitude_contrast) * interaction_parameter(p.voltage);
}

/// Where a wave has no argument. Both branches of where() are differentiated: the unused one must be finite too.
Tensor is_dark(const Tensor& re, const Tensor& im) { return re * re + im * im < 1e-12; }

void refuse_shape(const char* what, const Tensor& t, const std::string& allowed) {
  std::ostringstream found;
  found << t.sizes();
  throw UsageError(Problem{"image formation", what, found.str(), allowed, "give images of one box"});
}

}  // namespace

Tensor transfer_function(const std::vector<CtfParameters>& ctfs, std::int64_t box, double pixel_size,
                         const torch::TensorOptions& options) {
  if (box < 2 || !(pixel_size > 0))
    throw UsageError(Problem{"transfer function", "box and pixel size",
                             std::to_string(box) + " and " + std::to_string(pixel_size), "at least 2, above 0",
                             "correct them"});
  const auto n = static_cast<std::size_t>(box);
  auto h = torch::empty({static_cast<std::int64_t>(ctfs.size()), box, box}, torch::kComplexDouble);
  auto* out = static_cast<c10::complex<double>*>(h.data_ptr());
  const double unit = 1 / (static_cast<double>(box) * pixel_size);
  for (const auto& parameters : ctfs) {
    const Ctf ctf(parameters);
    const double contrast = std::asin(parameters.amplitude_contrast);
    auto* const first = out;
    for (std::size_t y = 0; y < n; ++y) {
      const double ky = static_cast<double>(signed_frequency(y, n)) * unit;
      for (std::size_t x = 0; x < n; ++x) {
        const double kx = static_cast<double>(signed_frequency(x, n)) * unit;
        // Ctf's gamma is minus the phase chi, with amplitude contrast and phase plate added.
        const auto v = std::polar(ctf.envelope(kx, ky), ctf.gamma(kx, ky) - contrast + ctf.phase(kx, ky));
        *out++ = {v.real(), v.imag()};
      }
    }
    *first = {1, 0};
  }
  const bool precise = options.dtype() == torch::kDouble;
  return h.to(
      torch::TensorOptions().device(options.device()).dtype(precise ? torch::kComplexDouble : torch::kComplexFloat));
}

Tensor absorption(const std::vector<CtfParameters>& ctfs, const torch::TensorOptions& options) {
  return column(ctfs, options, [](const CtfParameters& p) {
    const double a = p.amplitude_contrast;
    if (!(a >= 0 && a < 1))
      throw InputError(Problem{"CTF", "amplitude contrast (rlnAmplitudeContrast)", std::to_string(a),
                               "0 to below 1: at 1 no phase is left", "correct the value"});
    return a / std::sqrt(1 - a * a);
  });
}

Tensor phase_from_potential(const Tensor& potential, const std::vector<CtfParameters>& ctfs) {
  return potential * column(ctfs, potential.options(), phase_per_potential);
}

Tensor potential_from_phase(const Tensor& phase, const std::vector<CtfParameters>& ctfs) {
  return phase / column(ctfs, phase.options(), phase_per_potential);
}

Tensor exit_wave(const Tensor& phase, const Tensor& absorption) {
  return torch::polar(torch::exp(-absorption * phase), phase);
}

Tensor phase_of(const Tensor& wave, const Tensor& absorption) {
  const Tensor re = torch::real(wave), im = torch::imag(wave), dark = is_dark(re, im);
  const Tensor argument = torch::atan2(im.masked_fill(dark, 0), re.masked_fill(dark, 1));
  return (argument - absorption * log_modulus(wave)) / (1 + absorption * absorption);
}

Tensor log_modulus(const Tensor& wave) {
  const Tensor re = torch::real(wave), im = torch::imag(wave);
  return 0.5 * torch::log((re * re + im * im).masked_fill(is_dark(re, im), 1));
}

Tensor linear_transfer(const Tensor& transfer, const Tensor& absorption) {
  // psi = 1 + (i - a) phi, so that g - 1 = 2 Re{h * (i - a) phi}; conj of a function's transform is that of -k.
  const Tensor wave = transfer * torch::complex(-absorption, torch::ones_like(absorption));
  return wave + torch::conj(torch::roll(torch::flip(wave, {-2, -1}), {1, 1}, {-2, -1}));
}

Tensor wiener_phase(const Tensor& g, const Tensor& transfer, const Tensor& absorption, double noise) {
  const std::int64_t n = g.size(-1), padded = transfer.size(-1);
  const Tensor t = linear_transfer(transfer, absorption), re = torch::real(t), im = torch::imag(t);
  const Tensor filter = torch::conj(t) / (re * re + im * im + noise);
  const Tensor data = pad_images(amplitude_of(g).square() - 1, padded, 0);
  return crop_images(torch::real(torch::fft::ifft2(torch::fft::fft2(data) * filter)), n);
}

Tensor propagate(const Tensor& wave, const Tensor& transfer) {
  return torch::fft::ifft2(torch::fft::fft2(wave) * transfer);
}

Tensor intensity(const Tensor& wave, const Tensor& transfer) {
  const Tensor image = propagate(wave, transfer);
  const Tensor re = torch::real(image), im = torch::imag(image);
  return re * re + im * im;
}

Tensor back_propagate(const Tensor& wave, const Tensor& transfer, double epsilon) {
  const Tensor re = torch::real(transfer), im = torch::imag(transfer);
  const Tensor inverse = torch::conj(transfer) * ((1 + epsilon) / (re * re + im * im + epsilon));
  return torch::fft::ifft2(torch::fft::fft2(wave) * inverse);
}

Tensor amplitude_of(const Tensor& g, double floor, double ceiling) {
  return torch::sqrt(torch::clamp(g, floor, ceiling));
}

Tensor physics_step(const Tensor& psi, const Tensor& transfer, const Tensor& amplitude, const Tensor& window) {
  const Tensor image = propagate(psi, transfer);
  const Tensor re = torch::real(image), im = torch::imag(image);
  // The modulus has a floor far below any image's, so that its gradient stays finite where the wave vanishes.
  const Tensor modulus = torch::sqrt(re * re + im * im + 1e-8);
  return back_propagate(image * (window * (amplitude / modulus) + (1 - window)), transfer);
}

Tensor counted(const Tensor& g, const Tensor& electrons, double read_noise, const at::Generator& generator) {
  torch::NoGradGuard no_grad;
  Tensor counts = torch::poisson(torch::clamp_min(g, 0) * electrons, generator);
  if (read_noise > 0) counts = counts + read_noise * torch::randn(g.sizes(), generator, g.options());
  return counts / electrons;
}

Tensor pad_images(const Tensor& images, std::int64_t padded, double value) {
  const std::int64_t ny = images.size(-2), nx = images.size(-1);
  if (padded < ny || padded < nx) refuse_shape("box", images, "at most the padded edge of " + std::to_string(padded));
  const std::int64_t y = padded / 2 - ny / 2, x = padded / 2 - nx / 2;
  return torch::constant_pad_nd(images, {x, padded - nx - x, y, padded - ny - y}, value);
}

Tensor crop_images(const Tensor& images, std::int64_t box) {
  const std::int64_t ny = images.size(-2), nx = images.size(-1);
  if (box > ny || box > nx) refuse_shape("padded box", images, "at least the box of " + std::to_string(box));
  return images.narrow(-2, ny / 2 - box / 2, box).narrow(-1, nx / 2 - box / 2, box);
}

Tensor measured_window(std::int64_t box, std::int64_t padded, std::int64_t taper, const torch::TensorOptions& options) {
  const auto at = torch::arange(box, torch::kDouble);
  const Tensor distance = torch::minimum(at, static_cast<double>(box - 1) - at) + 0.5;  // pixels from the edge
  const Tensor ramp = torch::clamp(distance / static_cast<double>(std::max<std::int64_t>(taper, 1)), 0, 1);
  const Tensor line = taper > 0 ? 0.5 * (1 - torch::cos(std::numbers::pi * ramp)) : torch::ones({box}, torch::kDouble);
  return pad_images(torch::outer(line, line).unsqueeze(0), padded, 0).squeeze(0).to(options);
}

}  // namespace cryored
