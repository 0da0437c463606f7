// The phase network behind the interface of cryored phase.

#include "models/imaging/pinn_method.hpp"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <fstream>
#include <random>

#include "core/imaging/electrons.hpp"
#include "models/imaging/pinn_weights.hpp"
#include "models/imaging/wave.hpp"
#include "models/imaging/wave_method.hpp"
#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

const bool one_thread = (torch::set_num_threads(1), true);

/// A network whose U-Nets do something.
Pinn some_network() {
  PinnConfig config;
  config.stages = 2;
  config.levels = 2;
  config.width = 4;
  torch::manual_seed(8);
  Pinn network(config);
  {
    torch::NoGradGuard no_grad;
    for (auto& p : network->named_parameters())
      if (p.key().ends_with("last_weight")) p.value().fill_(0.1);
  }
  return network;
}

std::string written(const testing::TemporaryFolder& folder, Pinn network) {
  WeightsInfo info;
  info.name = "test";
  info.licence = "CC0-1.0";
  info.date = "2026-01-31";
  info.voxel_size = 1.5;
  info.block = 24;
  save_pinn(folder.file("p.crw"), network, info);
  return folder.file("p.crw");
}

ParticleImages some_images() {
  ParticleImages images;
  images.box = 24;
  images.pixel_size = 1.5;
  images.dose = 30;
  images.ctfs.resize(11);
  for (std::size_t i = 0; i < images.ctfs.size(); ++i)  // several grids, and more images than a batch takes
    images.ctfs[i].defocus_u = images.ctfs[i].defocus_v = i < 9 ? 6000 : 20000;
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  images.pixels.resize(11 * 24 * 24);
  for (float& v : images.pixels) v = normal(random);
  return images;
}

DeviceChoice cpu() { return choose_device("cpu", {}); }

TEST(PinnMethod, IsTheNetworkOnIntensities) {
  const testing::TemporaryFolder folder;
  Pinn network = some_network();
  ParticleImages images = some_images();
  const auto before = images.pixels;
  const auto method = make_pinn(written(folder, network), Precision::float32, cpu(), 1);
  EXPECT_NE(method->description().find("pinn2-unet2-w4"), std::string::npos) << method->description();
  method->retrieve(images);
  torch::NoGradGuard no_grad;
  const double c = background_contrast(30, 1.5);
  for (const std::size_t i : {0u, 8u, 10u}) {
    auto g = torch::empty({1, 24, 24});
    for (std::size_t p = 0; p < 576; ++p) g.data_ptr<float>()[p] = 1 - static_cast<float>(c) * before[i * 576 + p];
    const auto grid = static_cast<std::int64_t>(padded_box(24, 1.5, images.ctfs[i], kPinnGridResolution));
    const auto expected =
        network->forward(g, transfer_function({images.ctfs[i]}, grid, 1.5), absorption({images.ctfs[i]}));
    const auto found = torch::from_blob(images.image(i), {1, 24, 24});
    EXPECT_LT((found - expected).abs().max().item<double>(), 1e-5) << i;
  }
}

/// Has room for `room` images at once.
class NarrowMethod : public WaveMethod {
 public:
  explicit NarrowMethod(std::int64_t room) : WaveMethod(cpu(), 1, kPinnGridResolution), room_(room) {}
  std::string description() const override { return "narrow"; }

 protected:
  torch::Tensor phases(const Batch& batch) const override {
    TORCH_CHECK_WITH(OutOfMemoryError, batch.g.size(0) <= room_, "out of memory for ", batch.g.size(0), " images");
    return 2 * batch.g;
  }

 private:
  std::int64_t room_;
};

TEST(WaveMethod, TakesFewerImagesWhereMemoryIsShort) {
  ParticleImages all = some_images(), few = all;
  NarrowMethod(100).retrieve(all);
  NarrowMethod(1).retrieve(few);
  EXPECT_EQ(all.pixels, few.pixels);
  testing::expect_error<SystemError>([&] { NarrowMethod(0).retrieve(few); }, "out of memory for 1 images", "one image");
}

TEST(PinnMethod, ThreadsDoNotChangeIt) {
  const testing::TemporaryFolder folder;
  const std::string file = written(folder, some_network());
  ParticleImages one = some_images(), three = one;
  make_pinn(file, Precision::float32, cpu(), 1)->retrieve(one);
  make_pinn(file, Precision::float32, cpu(), 3)->retrieve(three);
  EXPECT_EQ(one.pixels, three.pixels);
}

// The difference is that of bfloat16's eight bits in a few convolutions.
TEST(PinnMethod, InBf16IsNearFloat32) {
  const testing::TemporaryFolder folder;
  const std::string file = written(folder, some_network());
  ParticleImages exact = some_images(), fast = exact;
  make_pinn(file, Precision::float32, cpu(), 1)->retrieve(exact);
  const auto method = make_pinn(file, Precision::bf16, cpu(), 1);
  method->retrieve(fast);
  EXPECT_NE(method->description().find("bf16"), std::string::npos);
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < exact.pixels.size(); ++i) {
    difference += std::pow(double(exact.pixels[i]) - double(fast.pixels[i]), 2);
    power += std::pow(double(exact.pixels[i]), 2);
  }
  EXPECT_GT(difference, 0);
  EXPECT_LT(std::sqrt(difference / power), 0.03);
}

TEST(PinnMethod, ExtremeImagesGiveFiniteOnes) {
  const testing::TemporaryFolder folder;
  ParticleImages images = some_images();
  for (std::size_t i = 0; i < images.pixels.size(); i += 7) images.pixels[i] = i % 2 ? 1e20F : -1e20F;
  make_pinn(written(folder, some_network()), Precision::float32, cpu(), 1)->retrieve(images);
  for (const float v : images.pixels) ASSERT_TRUE(std::isfinite(v));
}

TEST(PinnMethod, WeightsThatCannotServeAreNamed) {
  const testing::TemporaryFolder folder;
  const auto load = [&](const std::string& file) { make_pinn(file, Precision::float32, cpu(), 1); };
  testing::expect_error<InputError>([&] { load(folder.file("none.crw")); }, "none.crw");
  const std::string file = written(folder, some_network());
  {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(-40, std::ios::end);
    damage.put('x');
  }
  testing::expect_error<InputError>([&] { load(file); }, "p.crw", "SHA-256");
}

}  // namespace
}  // namespace cryored
