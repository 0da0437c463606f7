// The network: identity at the start, shapes, counts, every option of the architecture.

#include "models/unet.hpp"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "tests/models/models_testing.hpp"
#include "tests/models/random_network.hpp"

namespace cryored {
namespace {

using testing::expect_error;

std::vector<UNetConfig> variants() {
  std::vector<UNetConfig> all;
  UNetConfig c;
  c.levels = 3;
  c.width = 8;
  all.push_back(c);
  for (const auto norm : {Norm::group, Norm::none}) all.push_back(c), all.back().norm = norm;
  for (const auto a : {Activation::relu, Activation::leaky_relu}) all.push_back(c), all.back().activation = a;
  all.push_back(c), all.back().down = Down::strided;
  all.push_back(c), all.back().up = Up::trilinear;
  all.push_back(c), all.back().residual_blocks = true;
  all.push_back(c), all.back().mask_head = true;
  all.push_back(c), all.back().in_channels = 2;
  all.push_back(c), all.back().deviation = true;
  all.push_back(c), all.back().width_cap = 16;
  all.push_back(c), all.back().convs_per_level = 1;
  all.push_back(c), all.back().levels = 1;
  return all;
}

// OpenMP's threads wait actively, which costs minutes on a busy machine.
const bool one_thread = (torch::set_num_threads(1), true);

TEST(UNet, NewNetworkIsTheIdentity) {
  torch::NoGradGuard no_grad;
  for (const auto& config : variants()) {
    UNet3d network(config);
    const auto x = torch::randn({2, config.in_channels, 16, 8, 24});
    const auto y = network->forward(x);
    EXPECT_EQ(y.sizes(), torch::IntArrayRef({2, 1, 16, 8, 24})) << config.name();
    EXPECT_TRUE(torch::equal(y, x.narrow(1, 0, 1))) << config.name();
  }
}

TEST(UNet, EveryOptionChangesTheOutput) {
  torch::NoGradGuard no_grad;
  for (const auto& config : variants()) {
    UNet3d network = testing::random_network(config, 3);
    const auto x = torch::randn({1, config.in_channels, 8, 8, 8});
    const auto change = network->correction(x);
    EXPECT_TRUE(torch::isfinite(change).all().item<bool>()) << config.name();
    EXPECT_GT(change.abs().mean().item<float>(), 1e-3) << config.name();
  }
}

TEST(UNet, GradientsReachEveryParameter) {
  for (const auto& config : variants()) {
    UNet3d network = testing::random_network(config, 5);
    const auto x = torch::randn({1, config.in_channels, 8, 8, 8});
    (network->forward(x) - 0.5).square().mean().backward();
    for (const auto& p : network->named_parameters()) {
      ASSERT_TRUE(p.value().grad().defined()) << config.name() << " " << p.key();
      EXPECT_GT(p.value().grad().abs().max().item<float>(), 0) << config.name() << " " << p.key();
    }
  }
}

TEST(UNet, CountOfParametersIsThatOfTheNetwork) {
  for (const auto& config : variants()) {
    UNet3d network(config);
    std::int64_t count = 0;
    for (const auto& p : network->parameters()) count += p.numel();
    EXPECT_EQ(count, unet_parameters(config)) << config.name();
  }
  EXPECT_NEAR(static_cast<double>(unet_parameters(UNetConfig{})), 5.6e6, 0.1e6);
}

TEST(UNet, CountOfOperationsOfOneLevelByHand) {
  UNetConfig c;
  c.levels = 1;
  c.width = 8;
  // Two convolutions 1 -> 8 -> 8 of 27 taps and the last of one tap, two operations each.
  EXPECT_DOUBLE_EQ(unet_flop(c, 10, 10, 10), 2.0 * 1000 * (27 * 8 + 27 * 8 * 8 + 8));
  c.levels = 2;
  const double lower = 2.0 * 125 * (27 * 8 * 16 + 27 * 16 * 16), up = 2.0 * 125 * 8 * 16 * 8;
  const double upper = 2.0 * 1000 * (27 * 16 * 8 + 27 * 8 * 8);
  EXPECT_DOUBLE_EQ(unet_flop(c, 10, 10, 10), 2.0 * 1000 * (27 * 8 + 27 * 8 * 8 + 8) + lower + up + upper);
}

TEST(UNet, DeviationIsThatOfTheNeighbourhood) {
  torch::manual_seed(2);
  const auto map = torch::randn({2, 1, 7, 5, 6});
  const auto found = local_deviation(map);
  const auto v = map.accessor<float, 5>(), f = found.accessor<float, 5>();
  for (long n = 0; n < 2; ++n)
    for (long z = 0; z < 7; ++z)
      for (long y = 0; y < 5; ++y)
        for (long x = 0; x < 6; ++x) {
          double sum = 0, square = 0, count = 0;
          for (long c = std::max(0l, z - 2); c <= std::min(6l, z + 2); ++c)
            for (long b = std::max(0l, y - 2); b <= std::min(4l, y + 2); ++b)
              for (long a = std::max(0l, x - 2); a <= std::min(5l, x + 2); ++a) {
                const double value = v[n][0][c][b][a];
                sum += value, square += value * value, count += 1;
              }
          const double mean = sum / count;
          EXPECT_NEAR(f[n][0][z][y][x], std::sqrt(square / count - mean * mean), 1e-4);
        }
}

TEST(UNet, DeviationChannelIsASecondInput) {
  torch::NoGradGuard no_grad;
  UNetConfig config;
  config.levels = 2;
  config.width = 8;
  config.deviation = true;
  UNet3d own = testing::random_network(config, 4);
  config.deviation = false;
  config.in_channels = 2;
  UNet3d given(config);
  const auto from = own->parameters();
  auto to = given->parameters();
  ASSERT_EQ(from.size(), to.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
  const auto x = torch::randn({1, 1, 8, 8, 8});
  EXPECT_TRUE(torch::equal(own->forward(x), given->forward(torch::cat({x, local_deviation(x)}, 1))));
}

TEST(UNet, MaskHeadMultipliesTheOutput) {
  torch::NoGradGuard no_grad;
  UNetConfig config;
  config.levels = 2;
  config.width = 8;
  config.mask_head = true;
  UNet3d network = testing::random_network(config, 6);
  const auto x = torch::randn({1, 1, 8, 8, 8});
  const auto heads = network->correction(x);
  ASSERT_EQ(heads.size(1), 2);
  const auto factor = 2 / (1 + torch::exp(-heads.narrow(1, 1, 1)));
  EXPECT_TRUE(torch::allclose(network->forward(x), (x + heads.narrow(1, 0, 1)) * factor, 1e-5, 1e-6));
  network->named_parameters()["last_bias"][1] = -100;  // nothing but solvent
  EXPECT_LT(network->forward(x).abs().max().item<float>(), 1e-6);
}

TEST(UNet, ShapesThatDoNotFitAreNamed) {
  UNet3d network{UNetConfig{}};
  for (const auto& shape :
       {std::vector<std::int64_t>{1, 1, 48, 48, 40}, {1, 2, 48, 48, 48}, {1, 48, 48, 48}, {1, 1, 16, 16, 16}})
    expect_error<UsageError>([&] { network->forward(torch::zeros(shape)); }, "network input", "multiples of 16", "pad");
}

TEST(UNet, ArchitectureOutOfRangeIsNamed) {
  const auto build = [](auto change) {
    UNetConfig c;
    change(c);
    UNet3d network(c);
  };
  expect_error<UsageError>([&] { build([](UNetConfig& c) { c.levels = 0; }); }, "levels", "found 0", "1 to 8");
  expect_error<UsageError>([&] { build([](UNetConfig& c) { c.width = 4; }); }, "width", "found 4");
  expect_error<UsageError>([&] { build([](UNetConfig& c) { c.norm = Norm::group, c.width = 12; }); }, "multiples of 8");
}

TEST(UNet, Bfloat16StaysNearFloat32) {
  torch::NoGradGuard no_grad;
  UNet3d network = testing::random_network(UNetConfig{}, 7);
  torch::manual_seed(1);
  const auto x = torch::randn({1, 1, 32, 32, 32});
  const auto full = network->correction(x);
  network->to(torch::kBFloat16);
  const auto y = network->forward(x);
  EXPECT_EQ(y.scalar_type(), torch::kFloat);
  const auto change = y - x;
  EXPECT_LT(((change - full).norm() / full.norm()).item<float>(), 0.03);
}

}  // namespace
}  // namespace cryored
