// Phase retrieval network: a case by hand, gradients, damage, weights files.

#include "models/imaging/pinn.hpp"

#include <gtest/gtest.h>
#include <torch/autograd.h>
#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "models/imaging/pinn_weights.hpp"
#include "models/imaging/wave.hpp"
#include "models/unet_weights.hpp"
#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

using testing::expect_error;
using torch::Tensor;

const bool one_thread = (torch::set_num_threads(1), true);

CtfParameters optics(double defocus) {
  CtfParameters p;
  p.voltage = 200;
  p.spherical_aberration = defocus == 0 ? 0 : 2;
  p.defocus_u = p.defocus_v = defocus;
  return p;
}

PinnConfig small(int stages) {
  PinnConfig c;
  c.stages = stages;
  c.levels = 2;
  c.width = 4;
  return c;
}

/// A network whose U-Nets do something.
Pinn random_pinn(const PinnConfig& config, unsigned seed) {
  torch::manual_seed(seed);
  Pinn network(config);
  torch::NoGradGuard no_grad;
  for (auto& p : network->named_parameters())
    if (p.key().ends_with("last_weight")) p.value().normal_(0, 0.3);
  return network;
}

// Without defocus H is 1: the wave gets the modulus sqrt(g) and keeps its phase 0, and the phase nearest to it is
// -a ln sqrt(g) / (1 + a^2) with a = 0.1 / sqrt(0.99). The U-Net of a new network adds nothing.
TEST(Pinn, OneStageByHand) {
  Pinn network(small(1));
  const auto p = optics(0);
  const auto phi = network->forward(torch::full({1, 16, 16}, 0.64), transfer_function({p}, 16, 1), absorption({p}));
  const double a = 0.1 / std::sqrt(0.99);
  // The middle; towards the edge the window lets go of the measurement.
  EXPECT_NEAR(phi[0][8][8].item<double>(), -a * std::log(0.8) / (1 + a * a), 1e-6);
  EXPECT_LT(phi[0][0][0].item<double>(), phi[0][8][8].item<double>());
}

// A weak single wave: one physics step leaves sin(chi) times what the CTF made of it, the matched filter.
TEST(Pinn, OneStageOfAWeakWaveIsTheMatchedFilter) {
  const std::int64_t n = 64;
  auto p = optics(8000);
  p.amplitude_contrast = 0;
  const auto h = transfer_function({p}, n, 1), a = absorption({p});
  const auto x = torch::arange(n, torch::kFloat);
  const auto wave = (1e-3 * torch::cos(2 * M_PI * 6 * x / 64)).expand({1, n, n}).contiguous();
  const auto g = intensity(exit_wave(wave, a), h);
  const auto window = torch::ones({n, n});
  const auto phi = phase_of(physics_step(exit_wave(torch::zeros_like(g), a), h, amplitude_of(g), window), a);
  const double ctf = Ctf(p).value(6 / 64.0, 0);
  EXPECT_GT(std::abs(ctf), 0.2);
  EXPECT_LT((phi - ctf * ctf * wave).abs().max().item<double>(), 2e-5 * 1);
  // And the regularised linear estimate is CTF^2 / (CTF^2 + noise / 4) of it.
  const auto linear = wiener_phase(g, h, a, 0.4);
  EXPECT_LT((linear - ctf * ctf / (ctf * ctf + 0.1) * wave).abs().max().item<double>(), 2e-5);
}

TEST(Pinn, StagesWithoutNetsApproachThePhase) {
  const std::int64_t n = 64;
  auto p = optics(6000);
  const auto h = transfer_function({p}, n, 2), a = absorption({p});
  const auto at = torch::arange(n, torch::kFloat) - 32;
  const auto blob = 0.2 * torch::exp(-(at.square().unsqueeze(0) + at.square().unsqueeze(1)) / 20).unsqueeze(0) *
                    torch::cos(at).unsqueeze(0).unsqueeze(0);
  const auto g = intensity(exit_wave(blob, a), h);
  torch::NoGradGuard no_grad;
  const auto phases = Pinn(small(10))->stages(g, h, a);
  const auto error = [&](const Tensor& phi) { return (phi - blob).norm().item<double>() / blob.norm().item<double>(); };
  EXPECT_LT(error(phases.back()), 0.7 * error(phases.front()));
}

TEST(Pinn, EveryOptionRunsAndChangesTheResult) {
  auto p = optics(9000);
  const auto h = transfer_function({p, p}, 48, 1.5), a = absorption({p, p});
  torch::manual_seed(1);
  const auto g = 1 + 0.2 * torch::randn({2, 20, 20});  // 20 is no multiple of the U-Net's 8
  std::vector<PinnConfig> all{small(3)};
  const auto add = [&](auto change) { all.push_back(small(3)), change(all.back()); };
  add([](PinnConfig& c) { c.shared = true; });
  add([](PinnConfig& c) { c.residual = false; });
  add([](PinnConfig& c) { c.scaled = false; });
  add([](PinnConfig& c) { c.levels = 4; });
  add([](PinnConfig& c) { c.convs_per_level = 1; });
  for (const auto channel :
       {PinnChannel::previous, PinnChannel::observation, PinnChannel::amplitude, PinnChannel::wiener})
    add([&](PinnConfig& c) { c.channels = {channel}; });
  add([](PinnConfig& c) { c.channels = {PinnChannel::wiener, PinnChannel::previous, PinnChannel::observation}; });
  for (const auto& config : all) {
    Pinn network = random_pinn(config, 3);
    const auto stages = network->stages(g, h, a);
    ASSERT_EQ(stages.size(), 3u);
    EXPECT_EQ(stages[2].sizes(), g.sizes());
    EXPECT_TRUE(torch::isfinite(stages[2]).all().item<bool>()) << config.name();
    (stages[2] - 0.1).square().mean().backward();
    for (const auto& q : network->named_parameters()) {
      ASSERT_TRUE(q.value().grad().defined()) << config.name() << " " << q.key();
      EXPECT_TRUE(torch::isfinite(q.value().grad()).all().item<bool>()) << config.name() << " " << q.key();
    }
    EXPECT_GT(network->parameters().back().grad().abs().max().item<double>(), 0);
    std::int64_t count = 0;
    for (const auto& q : network->parameters()) count += q.numel();
    EXPECT_EQ(count, pinn_parameters(config)) << config.name();
    EXPECT_EQ(pinn_config(to_json(config), "here"), config);
  }
}

TEST(Pinn, GradientAgreesWithDifferences) {
  auto p = optics(5000);
  auto config = small(2);
  config.channels = {PinnChannel::previous, PinnChannel::amplitude, PinnChannel::observation, PinnChannel::wiener};
  config.scaled = false;  // the scale is not differentiated, by intent
  Pinn network = random_pinn(config, 4);
  network->to(torch::kDouble);
  const auto h = transfer_function({p}, 24, 2, torch::kDouble), a = absorption({p}, torch::kDouble);
  auto g = (1 + 0.2 * torch::randn({1, 16, 16}, torch::kDouble)).requires_grad_(true);
  const auto weights = torch::randn({1, 16, 16}, torch::kDouble);
  const auto loss = [&](const Tensor& x) { return (weights * network->forward(x, h, a)).sum(); };
  auto parameters = network->parameters();
  std::vector<Tensor> at{g};
  at.insert(at.end(), parameters.begin(), parameters.end());
  const auto gradients = torch::autograd::grad({loss(g)}, at);
  torch::NoGradGuard no_grad;
  const double step = 1e-6;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const Tensor direction = torch::randn_like(at[i]);
    at[i].add_(direction, step);
    const double above = loss(g).item<double>();
    at[i].add_(direction, -2 * step);
    const double below = loss(g).item<double>();
    at[i].add_(direction, step);
    const double numeric = (above - below) / (2 * step), analytic = (gradients[i] * direction).sum().item<double>();
    EXPECT_NEAR(analytic, numeric, 1e-5 * (1 + std::abs(numeric))) << i;
  }
}

TEST(Pinn, AnyFiniteImageGivesAFiniteResult) {
  auto p = optics(9000);
  const auto h = transfer_function({p}, 32, 1), a = absorption({p});
  auto config = small(4);
  config.channels = {PinnChannel::previous, PinnChannel::amplitude, PinnChannel::observation, PinnChannel::wiener};
  for (const bool scaled : {true, false}) {
    config.scaled = scaled;
    Pinn network = random_pinn(config, 6);
    for (const double level : {0.0, -5.0, 1e-30, 1e30, -3e38, 1.0})
      for (const double noise : {0.0, 1.0, 1e6}) {
        network->zero_grad();
        torch::manual_seed(2);
        const auto g = (level + noise * torch::randn({1, 16, 16})).clamp(-3e38, 3e38);
        const auto phi = network->forward(g, h, a);
        EXPECT_TRUE(torch::isfinite(phi).all().item<bool>()) << level << " " << noise;
        phi.square().mean().backward();
        for (const auto& q : network->parameters())
          ASSERT_TRUE(torch::isfinite(q.grad()).all().item<bool>()) << level << " " << noise;
      }
  }
}

TEST(Pinn, ImagesThatAreNotNumbersAreNamed) {
  Pinn network(small(1));
  const auto p = optics(9000);
  const auto h = transfer_function({p}, 16, 1), a = absorption({p});
  auto g = torch::ones({3, 16, 16});
  g[1][4][5] = std::numeric_limits<float>::quiet_NaN();
  expect_error<InputError>([&] { network->forward(g, h, a); }, "image 2", "NaN");
  g[1][4][5] = std::numeric_limits<float>::infinity();
  expect_error<InputError>([&] { network->forward(g, h, a); }, "image 2");
  expect_error<UsageError>([&] { network->forward(torch::ones({1, 20, 20}), h, a); }, "shapes", "at least n");
}

TEST(Pinn, WeightsComeBack) {
  const testing::TemporaryFolder folder;
  auto config = small(2);
  config.channels = {PinnChannel::wiener, PinnChannel::previous};
  Pinn network = random_pinn(config, 8);
  WeightsInfo info;
  info.name = "pinn-test";
  info.licence = "CC0-1.0";
  info.date = "2026-01-31";
  info.voxel_size = 1;
  info.block = 100;
  save_pinn(folder.file("p.crw"), network, info);
  LoadedPinn loaded = load_pinn(folder.file("p.crw"));
  EXPECT_EQ(loaded.network->config(), config);
  EXPECT_EQ(loaded.info.kind(), "pinn");
  EXPECT_EQ(verify_weights(folder.file("p.crw")).parameters(), pinn_parameters(config));
  const auto p = optics(7000);
  const auto h = transfer_function({p}, 24, 1), a = absorption({p});
  torch::NoGradGuard no_grad;
  const auto g = 1 + 0.2 * torch::randn({1, 16, 16});
  EXPECT_TRUE(torch::equal(loaded.network->forward(g, h, a), network->forward(g, h, a)));

  // Neither kind of network is taken for the other.
  expect_error<InputError>([&] { load_weights(folder.file("p.crw")); }, "type", "residual 3D U-Net");
  expect_error<InputError>([&] { read_denoiser_info(folder.file("p.crw")); }, "pinn");
  UNetConfig unet;
  unet.levels = 2;
  unet.width = 8;
  info.block = 16;
  save_weights(folder.file("u.crw"), UNet3d(unet), info);
  expect_error<InputError>([&] { load_pinn(folder.file("u.crw")); }, "type", "phase network");
}

TEST(Pinn, ArchitecturesThatCannotBeAreNamed) {
  expect_error<UsageError>([] { Pinn network(small(0)); }, "stages", "found 0");
  auto config = small(1);
  config.channels = {PinnChannel::wiener, PinnChannel::wiener};
  expect_error<UsageError>([&] { Pinn network(config); }, "wiener twice");
  auto json = to_json(small(1));
  json["channels"] = {"smell"};
  expect_error<InputError>([&] { pinn_config(json, "file.crw"); }, "file.crw", "channels", "smell");
  json = to_json(small(1));
  json["width"] = -3;
  expect_error<InputError>([&] { pinn_config(json, "file.crw"); }, "width", "-3");
}

TEST(Pinn, CountOfOperationsOfOneLevelByHand) {
  auto c = small(2);
  c.levels = 1;
  EXPECT_DOUBLE_EQ(pinn_flop(c, 10), 2 * (2.0 * 100 * (9 * 1 * 4 + 9 * 4 * 4 + 4)));
}

}  // namespace
}  // namespace cryored
