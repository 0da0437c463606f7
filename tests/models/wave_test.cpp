// Image formation: its first order is RELION's CTF, its gradients are right, and no image breaks it.

#include "models/imaging/wave.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>
#include <numbers>

#include "core/fourier/grid.hpp"
#include "core/imaging/electrons.hpp"
#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

using torch::Tensor;

const bool one_thread = (torch::set_num_threads(1), true);

/// Everything that RELION stores, at once.
CtfParameters full_ctf() {
  CtfParameters p;
  p.voltage = 200;
  p.spherical_aberration = 2;
  p.amplitude_contrast = 0.1;
  p.defocus_u = 6500;
  p.defocus_v = 5200;
  p.defocus_angle = 33;
  p.phase_shift = 40;
  p.b_factor = 60;
  p.beam_tilt_x = 0.3;
  p.beam_tilt_y = -0.2;
  p.even_zernike = {0.05, 1, -2, 0.7, 3};
  p.odd_zernike = {0.2, -0.3, 2, 1, -1, 0.5};
  return p;
}

CtfParameters papers_ctf() {
  CtfParameters p;
  p.voltage = 200;
  p.spherical_aberration = 2;
  p.amplitude_contrast = 0.1;
  p.defocus_u = p.defocus_v = 10000;
  return p;
}

double largest(const Tensor& t) { return t.abs().max().item<double>(); }

TEST(Wave, InteractionParameterIsTheTextbooks) {
  EXPECT_NEAR(interaction_parameter(200), 0.7288e-3, 1e-7);
  EXPECT_NEAR(interaction_parameter(300), 0.6526e-3, 1e-7);
}

TEST(Wave, ImagesAndIntensitiesConvertBothWays) {
  const double c = background_contrast(25, 2);
  EXPECT_DOUBLE_EQ(c, 0.1);  // 100 electrons a pixel
  std::vector<float> pixels{0, 2, -3.5f};
  intensity_from_image(c, pixels.size(), pixels.data());
  EXPECT_FLOAT_EQ(pixels[0], 1);
  EXPECT_FLOAT_EQ(pixels[1], 0.8f);  // bright in RELION's image: fewer electrons
  image_from_intensity(c, pixels.size(), pixels.data());
  EXPECT_NEAR(pixels[2], -3.5, 1e-5);
  testing::expect_error<UsageError>([] { background_contrast(0, 1); }, "dose", "above 0");
}

TEST(Wave, PaddedBoxHoldsTheDisplacement) {
  // lambda df k at 2 A resolution, less the spherical aberration's share: Cs lambda^3 k^3.
  const double lambda = electron_wavelength(200), k = 0.5;
  const double expected = lambda * 10000 * k - 2e7 * lambda * lambda * lambda * k * k * k;
  EXPECT_NEAR(displacement(papers_ctf(), 2), expected, 1);
  const std::size_t padded = padded_box(128, 1, papers_ctf());
  EXPECT_GE(padded, static_cast<std::size_t>(128 + expected - 1));
  EXPECT_EQ(padded % 2, 0u);
  EXPECT_EQ(fast_even_size(253), 256u);
  EXPECT_EQ(fast_even_size(301), 320u);
  EXPECT_EQ(fast_even_size(0), 2u);
  CtfParameters far = papers_ctf();
  far.defocus_u = far.defocus_v = 1e6;
  EXPECT_THROW(padded_box(128, 0.01, far), InputError) << "more pixels than any memory has";
  far.defocus_u = far.defocus_v = 50000;
  EXPECT_LT(padded_box(512, 0.5, far), 5500u) << "as real data may have it";
  EXPECT_EQ(padded_box(9000, 1, papers_ctf()), 9216u) << "large boxes are the user's own choice";
}

// The claim that ties this to RELION: to first order g - 1 = -2 sigma F^-1{CTF e^{ip} F V}, but for the mean.
TEST(Wave, FirstOrderIsRelionsCtf) {
  const std::int64_t n = 48;
  const double pixel = 1.3, sigma = interaction_parameter(200);
  torch::manual_seed(1);
  // Small enough that the second order is far below the tolerance, in double precision.
  Tensor v = 1e-4 * torch::randn({1, n, n}, torch::kDouble);
  auto spectrum = torch::fft::fft2(v);
  // No content at the Nyquist lines: there k and -k are one coefficient, and odd phases have no meaning.
  spectrum.select(1, n / 2).zero_();
  spectrum.select(2, n / 2).zero_();
  v = torch::real(torch::fft::ifft2(spectrum));
  for (const auto& p : {full_ctf(), papers_ctf()}) {
    const auto h = transfer_function({p}, n, pixel, torch::kDouble);
    const auto psi = exit_wave(phase_from_potential(v, {p}), absorption({p}, torch::kDouble));
    const auto g = torch::fft::fft2(intensity(psi, h));
    const Ctf ctf(p);
    double worst = 0, scale = 0;
    for (std::int64_t y = 0; y < n; ++y)
      for (std::int64_t x = 0; x < n; ++x) {
        if ((x == 0 && y == 0) || x == n / 2 || y == n / 2) continue;
        const double unit = 1 / (static_cast<double>(n) * pixel);
        const auto N = static_cast<std::size_t>(n);
        const double kx = static_cast<double>(signed_frequency(static_cast<std::size_t>(x), N)) * unit,
                     ky = static_cast<double>(signed_frequency(static_cast<std::size_t>(y), N)) * unit;
        const auto f = spectrum[0][y][x].item<c10::complex<double>>(), i = g[0][y][x].item<c10::complex<double>>();
        const auto expected = -2 * sigma * ctf.value(kx, ky) * std::polar(1.0, ctf.phase(kx, ky)) *
                              std::complex<double>(f.real(), f.imag());
        worst = std::max(worst, std::abs(std::complex<double>(i.real(), i.imag()) - expected));
        scale = std::max(scale, std::abs(expected));
      }
    EXPECT_LT(worst / scale, 1e-5);
  }
}

TEST(Wave, BackPropagationUndoesPropagation) {
  const std::int64_t n = 40;
  torch::manual_seed(2);
  const auto psi =
      exit_wave(0.3 * torch::randn({2, n, n}, torch::kDouble), absorption({full_ctf(), papers_ctf()}, torch::kDouble));
  auto p = full_ctf();
  p.b_factor = 0;
  const auto h = transfer_function({p, papers_ctf()}, n, 1, torch::kDouble);
  EXPECT_LT(largest(back_propagate(propagate(psi, h), h) - psi), 1e-12);
  // With an envelope the inverse stays bounded by 1 / (2 sqrt(epsilon)).
  p.b_factor = 1000;
  const auto damped = transfer_function({p}, n, 1, torch::kDouble);
  const auto noise = torch::complex(torch::randn({1, n, n}, torch::kDouble), torch::randn({1, n, n}, torch::kDouble));
  EXPECT_LT(back_propagate(noise, damped).abs().norm().item<double>(), 5.1 * noise.abs().norm().item<double>());
}

TEST(Wave, PhaseOfAnExitWaveIsItsPhase) {
  torch::manual_seed(3);
  const auto a = absorption({papers_ctf()}, torch::kDouble);
  const auto phi = 0.8 * torch::randn({1, 16, 16}, torch::kDouble);
  EXPECT_LT(largest(phase_of(exit_wave(phi, a), a) - phi), 1e-12);
  const auto v = potential_from_phase(phi, {papers_ctf()});
  EXPECT_LT(largest(phase_from_potential(v, {papers_ctf()}) - phi), 1e-12);
  EXPECT_NEAR((phi / v).mean().item<double>(), std::sqrt(0.99) * interaction_parameter(200), 1e-12);
}

TEST(Wave, TheTrueWaveIsAFixedPointOfThePhysicsStep) {
  const std::int64_t n = 32;
  torch::manual_seed(4);
  auto p = full_ctf();
  p.b_factor = 0;
  const auto h = transfer_function({p}, n, 1, torch::kDouble);
  const auto psi = exit_wave(0.2 * torch::randn({1, n, n}, torch::kDouble), absorption({p}, torch::kDouble));
  const auto g = intensity(psi, h);
  const auto window = torch::ones({n, n}, torch::kDouble);
  EXPECT_LT(largest(physics_step(psi, h, amplitude_of(g), window) - psi), 1e-6);
  // Where nothing was measured, any wave is one.
  const auto other = exit_wave(0.2 * torch::randn({1, n, n}, torch::kDouble), absorption({p}, torch::kDouble));
  EXPECT_LT(largest(physics_step(other, h, amplitude_of(g), 0 * window) - other), 1e-12);
}

// Central differences in double precision along random directions.
template <typename F>
void expect_gradient(F loss, Tensor at) {
  at = at.clone().requires_grad_(true);
  const Tensor gradient = torch::autograd::grad({loss(at)}, {at})[0];
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 3; ++i) {
    const Tensor direction = torch::randn_like(at);
    const double step = 1e-6;
    const double numeric =
        (loss(at + step * direction) - loss(at - step * direction)).template item<double>() / (2 * step);
    const double analytic = (gradient * direction).sum().item<double>();
    EXPECT_NEAR(analytic, numeric, 1e-6 * (1 + std::abs(numeric)));
  }
}

TEST(Wave, GradientsAgreeWithDifferences) {
  const std::int64_t n = 12;
  torch::manual_seed(5);
  const std::vector<CtfParameters> ctfs{full_ctf(), papers_ctf()};
  const auto h = transfer_function(ctfs, n, 1.5, torch::kDouble), a = absorption(ctfs, torch::kDouble);
  const auto weights = torch::randn({2, n, n}, torch::kDouble);
  const auto phi = 0.3 * torch::randn({2, n, n}, torch::kDouble);
  const auto g = 1 + 0.3 * torch::randn({2, n, n}, torch::kDouble);
  const auto window = measured_window(n, n, 3, torch::kDouble);
  expect_gradient([&](const Tensor& x) { return (weights * intensity(exit_wave(x, a), h)).sum(); }, phi);
  expect_gradient(
      [&](const Tensor& x) {
        return (weights * phase_of(physics_step(exit_wave(x, a), h, amplitude_of(g), window), a)).sum();
      },
      phi);
  expect_gradient(
      [&](const Tensor& x) {
        return (weights * phase_of(physics_step(exit_wave(phi, a), h, amplitude_of(x), window), a)).sum();
      },
      g);
}

TEST(Wave, NoIntensityMakesNan) {
  const std::int64_t n = 8;
  const auto p = papers_ctf();
  const auto h = transfer_function({p}, n, 1), a = absorption({p});
  const auto window = torch::ones({n, n});
  for (const double value : {0.0, -1e30, 1e30, 1e-20}) {
    auto g = torch::full({1, n, n}, value).requires_grad_(true);
    auto phi = torch::zeros({1, n, n}).requires_grad_(true);
    const auto out = phase_of(physics_step(exit_wave(phi, a), h, amplitude_of(g), window), a);
    out.square().sum().backward();
    EXPECT_TRUE(torch::isfinite(out).all().item<bool>()) << value;
    EXPECT_TRUE(torch::isfinite(g.grad()).all().item<bool>()) << value;
    EXPECT_TRUE(torch::isfinite(phi.grad()).all().item<bool>()) << value;
  }
  auto dark = torch::zeros({1, n, n}, torch::kComplexFloat).requires_grad_(true);
  phase_of(dark, a).sum().backward();
  EXPECT_EQ(largest(dark.grad()), 0);
}

TEST(Wave, CountsHaveTheNoiseOfTheDose) {
  const auto generator = at::detail::createCPUGenerator(7);
  const auto g = torch::full({1, 200, 200}, 0.8);
  const auto image = counted(g, torch::full({1, 1, 1}, 30.0), 2, generator);
  EXPECT_NEAR(image.mean().item<double>(), 0.8, 0.005);
  EXPECT_NEAR(image.var().item<double>(), (0.8 * 30 + 4) / 900, 0.001);  // Poisson and read noise, per electron
  const auto again = counted(g, torch::full({1, 1, 1}, 30.0), 2, at::detail::createCPUGenerator(7));
  EXPECT_TRUE(torch::equal(image, again));
  EXPECT_EQ(largest(counted(-g, torch::full({1, 1, 1}, 30.0), 0, generator)), 0);
}

TEST(Wave, PaddingKeepsTheCentre) {
  auto image = torch::zeros({1, 5, 5});
  image[0][2][2] = 1;
  const auto padded = pad_images(image, 12, 0);
  EXPECT_EQ(padded[0][6][6].item<float>(), 1);
  EXPECT_TRUE(torch::equal(crop_images(padded, 5), image));
  testing::expect_error<UsageError>([&] { pad_images(image, 4, 0); }, "padded");
  const auto window = measured_window(8, 12, 2);
  EXPECT_EQ(window[0][6].item<float>(), 0);
  EXPECT_EQ(window[6][6].item<float>(), 1);
  EXPECT_NEAR(window[2][6].item<float>(), 0.5 * (1 - std::cos(std::numbers::pi / 4)), 1e-6);
}

}  // namespace
}  // namespace cryored
