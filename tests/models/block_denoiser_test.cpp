// Whole maps through the network: blending, grey scale, precision, memory, errors, and the GPU where there is one.

#include "models/block_denoiser.hpp"

#include <malloc.h>
#include <torch/types.h>

#include <cstring>
#include <fstream>
#include <utility>

#include "models/blocks.hpp"
#include "models/torch_device.hpp"
#include "models/unet_weights.hpp"
#include "tests/models/models_testing.hpp"
#include "tests/models/random_network.hpp"

namespace cryored {
namespace {

using testing::expect_error;
using testing::molecule;
using testing::relative_difference;

DenoiserOptions on_cpu(int block = 0) {
  DenoiserOptions options;
  options.device = "cpu";
  options.block = block;
  options.threads = 1;  // OpenMP's threads wait actively, which costs minutes on a busy machine
  return options;
}

class Denoising : public ::testing::Test {
 protected:
  std::string save(UNet3d network, const std::string& name, int block = 32) {
    WeightsInfo info;
    info.name = name;
    info.licence = "CC0-1.0";
    info.date = "2026-01-31";
    info.voxel_size = 2.5;
    info.block = block;
    save_weights(folder_.file(name + ".crw"), std::move(network), info);
    return folder_.file(name + ".crw");
  }
  static UNetConfig small(Norm norm = Norm::instance) {
    UNetConfig c;
    c.levels = 3;
    c.width = 8;
    c.norm = norm;
    return c;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(Denoising, IdentityNetworkGivesTheMapForAnyBox) {
  const auto denoiser = make_denoiser(save(UNet3d(small()), "identity"), on_cpu(16));
  for (const std::size_t n : {1, 2, 7, 15, 16, 17, 31, 33, 50}) {
    const Map map = molecule(n, 1, static_cast<unsigned>(n));
    EXPECT_LT(relative_difference(denoiser->denoise(map), map), 1e-6) << n;
  }
  EXPECT_EQ(denoiser->last_pass().block, 16);
  EXPECT_EQ(denoiser->last_pass().overlap, 4);
  EXPECT_EQ(denoiser->last_pass().blocks, 64);  // 50 = 4 blocks of 16 with at least 4 shared
  EXPECT_EQ(denoiser->voxel_size(), 2.5);
  EXPECT_NE(denoiser->description().find("unet3-w8 identity sha256:" + denoiser->weights().sha256), std::string::npos);
}

TEST_F(Denoising, WholeMapInOneBlockIsTheNetworkItself) {
  UNet3d network = testing::random_network(small(), 1);
  const auto denoiser = make_denoiser(save(network, "random"), on_cpu());
  const Map map = molecule(32, 0.5, 1);
  const Map out = denoiser->denoise(map);
  EXPECT_EQ(denoiser->last_pass().blocks, 1);
  const float scale = map_scale(map, Normalisation::contrast);
  torch::NoGradGuard no_grad;
  auto x = torch::empty({1, 1, 32, 32, 32});
  std::copy(map.data.begin(), map.data.end(), x.data_ptr<float>());
  const auto y = network->forward(x / scale) * scale;
  Map expected(32, 32, 32);
  std::copy(y.data_ptr<float>(), y.data_ptr<float>() + y.numel(), expected.data.begin());
  EXPECT_LT(relative_difference(out, expected), 1e-5);
}

// Without normalisation inside the network a voxel depends on its neighbourhood only, so blocks can be held
// against one large block: what remains is the zeros that a block sees beyond its border, under the ramps.
TEST_F(Denoising, BlocksAgreeWithOneLargeBlock) {
  for (const auto& [levels, tolerance] : {std::pair{1, 0.005}, {2, 0.03}}) {
    UNetConfig config = small(Norm::none);
    config.levels = levels;
    const std::string path = save(testing::random_network(config, 2), "local", 16);
    const Map map = molecule(48, 0.2, 2);
    const Map whole = make_denoiser(path, on_cpu(48))->denoise(map);
    auto options = on_cpu(32);
    options.overlap = 16;
    options.batch = 4;
    const auto blocked = make_denoiser(path, options);
    const Map parts = blocked->denoise(map);
    EXPECT_EQ(blocked->last_pass().blocks, 8);
    double change = 0, difference = 0;
    for (std::size_t i = 0; i < map.size(); ++i) {
      change += std::pow(whole.data[i] - map.data[i], 2);
      difference += std::pow(whole.data[i] - parts.data[i], 2);
    }
    EXPECT_GT(change, 0);
    EXPECT_LT(std::sqrt(difference / change), tolerance) << levels;
  }
}

TEST_F(Denoising, BatchesChangeNothing) {
  const std::string path = save(testing::random_network(small(), 3), "random");
  const Map map = molecule(40, 0.3, 3);
  auto options = on_cpu(16);
  const Map one = make_denoiser(path, options)->denoise(map);
  options.batch = 5;  // does not divide the number of blocks
  EXPECT_LT(relative_difference(make_denoiser(path, options)->denoise(map), one), 1e-5);
}

TEST_F(Denoising, GreyScaleOfTheMapIsKept) {
  const auto denoiser = make_denoiser(save(testing::random_network(small(), 4), "random"), on_cpu(16));
  const Map map = molecule(24, 0.3, 4), out = denoiser->denoise(map);
  EXPECT_GT(relative_difference(out, map), 0.01);
  for (const float factor : {1000.0f, 1e-12f, -1000.0f}) {
    Map scaled = map, expected = out;
    for (auto& v : scaled.data) v *= factor;
    for (auto& v : expected.data) v *= factor;
    const double difference = relative_difference(denoiser->denoise(scaled), expected);
    if (factor > 0)
      EXPECT_LT(difference, 1e-5) << factor;
    else
      EXPECT_GT(difference, 0.01) << "a network of nonlinear layers is not odd";
  }
}

TEST_F(Denoising, TwoRunsAgreeBitForBit) {
  const std::string path = save(testing::random_network(small(), 5), "random");
  const Map map = molecule(24, 0.3, 5);
  for (const int threads : {1, 2}) {
    auto options = on_cpu(16);
    options.threads = threads;
    const Map one = make_denoiser(path, options)->denoise(map), two = make_denoiser(path, options)->denoise(map);
    EXPECT_EQ(std::memcmp(one.data.data(), two.data.data(), one.size() * sizeof(float)), 0) << threads;
  }
}

TEST_F(Denoising, Bfloat16ChangesTheCorrectionByLessThanThreePercent) {
  const std::string path = save(testing::random_network(UNetConfig{}, 6), "random");
  const Map map = molecule(48, 0.3, 6);
  auto options = on_cpu(48);
  const Map full = make_denoiser(path, options)->denoise(map);
  options.precision = Precision::bf16;
  const auto denoiser = make_denoiser(path, options);
  const Map half = denoiser->denoise(map);
  double change = 0, difference = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    change += std::pow(full.data[i] - map.data[i], 2);
    difference += std::pow(full.data[i] - half.data[i], 2);
  }
  RecordProperty("error", std::to_string(std::sqrt(difference / change)));
  EXPECT_LT(std::sqrt(difference / change), 0.03);
  EXPECT_GT(difference, 0) << "bf16 was not used";
  EXPECT_NE(denoiser->description().find("bf16"), std::string::npos);
}

TEST_F(Denoising, DefaultBlockIsThatOfTheTrainingOrSpansAMolecule) {
  const UNetConfig c;
  const auto coarse = [&](std::size_t edge) { return default_block(c, 48, 2.5, edge); };
  EXPECT_EQ(coarse(48), 48) << "120 A";
  EXPECT_EQ(coarse(49), 48) << "nothing beyond the map";
  EXPECT_EQ(coarse(64), 48);
  EXPECT_EQ(coarse(500), 48);
  EXPECT_EQ(coarse(40), 48);
  EXPECT_EQ(coarse(3), 32);
  const auto fine = [&](std::size_t edge) { return default_block(c, 64, 1.5, edge); };
  EXPECT_EQ(fine(64), 64);
  EXPECT_EQ(fine(65), 80) << "120 A";
  EXPECT_EQ(fine(500), 80);
  EXPECT_EQ(default_block(c, 48, 1, 500), 64) << "a third longer at most";
  EXPECT_EQ(default_block(c, 48, 10, 500), 48) << "never shorter than the training's";
}

// /proc/self/clear_refs resets the peak that VmHWM reports.
std::uint64_t peak_bytes() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  return 0;
}

TEST_F(Denoising, MemoryStaysUnderTheFormula) {
  struct Case {
    Precision precision;
    int block, batch;
    std::size_t edge;
  };
  const std::string path = save(testing::random_network(UNetConfig{}, 7), "random", 48);
  for (const auto& c : {Case{Precision::float32, 48, 1, 48},
                        {Precision::float32, 48, 4, 60},
                        {Precision::float32, 96, 1, 90},
                        {Precision::bf16, 96, 1, 90}}) {
    auto options = on_cpu(c.block);
    options.precision = c.precision;
    options.batch = c.batch;
    options.overlap = 0;
    const auto denoiser = make_denoiser(path, options);
    Map map(c.edge, c.edge, c.edge);
    for (std::size_t i = 0; i < map.size(); ++i) map.data[i] = static_cast<float>(i % 17);
    malloc_trim(0);  // what earlier passes freed must not hide what this one takes
    std::ofstream("/proc/self/clear_refs") << "5";
    const auto before = peak_bytes();
    denoiser->denoise(map);
    const auto used = peak_bytes() - before;
    const auto bound = denoiser_memory(UNetConfig{}, c.edge, c.block, c.batch, c.precision);
    std::cout << "blocks of " << c.block << ", batch " << c.batch << (c.precision == Precision::bf16 ? ", bf16" : "")
              << ": " << (used >> 20) << " of " << (bound >> 20) << " MiB\n";
    EXPECT_LT(used, bound);
    EXPECT_GT(used, bound / 4) << "the formula is far from what is used";
  }
}

TEST_F(Denoising, MemoryLimitMakesBlocksSmallerOrIsRefused) {
  const std::string path = save(testing::random_network(small(), 8), "random", 48);
  const Map map = molecule(48, 0.3, 8);
  auto options = on_cpu();
  options.batch = 4;
  options.memory_limit = denoiser_memory(small(), 48, 48, 4, Precision::float32);
  auto denoiser = make_denoiser(path, options);
  denoiser->denoise(map);
  EXPECT_EQ(denoiser->last_pass().block, 48);
  EXPECT_EQ(denoiser->last_pass().batch, 4);
  options.memory_limit = denoiser_memory(small(), 48, 32, 1, Precision::float32);
  denoiser = make_denoiser(path, options);
  denoiser->denoise(map);
  EXPECT_EQ(denoiser->last_pass().block, 32);
  EXPECT_EQ(denoiser->last_pass().batch, 1);
  options.memory_limit = 1000;
  expect_error<UsageError>([&] { make_denoiser(path, options)->denoise(map); }, "memory limit", "1000 bytes",
                           "at least");
}

TEST_F(Denoising, MisuseIsNamed) {
  const std::string path = save(UNet3d(small()), "identity");
  for (const int block : {-16, 4, 18, 1})
    expect_error<UsageError>([&] { make_denoiser(path, on_cpu(block)); }, "block", "multiples of 4 from 8");
  auto options = on_cpu(16);
  options.overlap = 16;
  expect_error<UsageError>([&] { make_denoiser(path, options); }, "overlap", "found 16");
  options = on_cpu();
  options.batch = -1;
  expect_error<UsageError>([&] { make_denoiser(path, options); }, "batch", "found -1");
  const auto denoiser = make_denoiser(path, on_cpu());
  expect_error<UsageError>([&] { denoiser->denoise(Map(8, 8, 4)); }, "8 x 8 x 4", "a cube");
  Map bad = molecule(16, 1, 1);
  bad.data[100] = NAN;
  expect_error<InputError>([&] { denoiser->denoise(bad); }, "voxel 100", "nan");
  expect_error<InputError>([&] { make_denoiser("/nonexistent.crw", on_cpu()); }, "/nonexistent.crw");
  UNetConfig two = small();
  two.in_channels = 2;
  const std::string conditional = save(UNet3d(two), "conditional");
  expect_error<InputError>([&] { make_denoiser(conditional, on_cpu()); }, conditional, "in_channels");
}

// Where this machine has a GPU that works, both devices must agree; elsewhere asking for one must fail clearly.
TEST_F(Denoising, GpuAgreesWithTheCpuOrIsRefused) {
  const std::string path = save(testing::random_network(UNetConfig{}, 9), "random", 48);
  const auto survey = survey_gpus();
  auto options = on_cpu();
  options.device = "cuda";
  if (survey.state != GpuSurvey::State::usable) {
    expect_error<SystemError>([&] { make_denoiser(path, options); }, "--device cuda", "--device cpu");
    return;
  }
  const Map map = molecule(70, 0.3, 9);
  const auto gpu = make_denoiser(path, options);
  const Map here = make_denoiser(path, on_cpu())->denoise(map), there = gpu->denoise(map);
  EXPECT_LT(relative_difference(there, here), 1e-4);
  EXPECT_NE(gpu->device_text().find("GPU 0"), std::string::npos);
}

TEST_F(Denoising, GpuThatIsNotThereOrWhoseLibrariesAreMissingIsAnErrorOfItsOwn) {
  if (survey_gpus().state == GpuSurvey::State::usable) return;  // the test above covers such a machine
  DeviceChoice choice;
  choice.cuda = true;
  choice.gpu = {0, "Fake GPU", 8, 6, std::uint64_t{24} << 30, ""};
  choice.text = "GPU 0: Fake GPU";
  choice.driver_cuda = 13000;
  expect_error<SystemError>([&] { prepare_device(choice); }, "GPU 0: Fake GPU", "--device cpu");
  choice.driver_cuda = 11080;
  expect_error<SystemError>([&] { prepare_device(choice); }, "one for CUDA 11.8", "update the NVIDIA driver");
}

TEST(GpuFault, AFullCardAndAnUnsupportedComputationAreNotALostDevice) {
  for (const char* text : {"CUDA out of memory. Tried to allocate 2.00 GiB", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
                           "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
                           "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED", "DefaultCPUAllocator: can't allocate memory"})
    EXPECT_EQ(gpu_fault(text), GpuFault::memory) << text;
  for (const char* text :
       {"CUDA error: an illegal memory access was encountered", "CUDA error: unspecified launch failure",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "CUDA error: CUBLAS_STATUS_INTERNAL_ERROR"})
    EXPECT_EQ(gpu_fault(text), GpuFault::device) << text;
  for (const char* text :
       {"CUDA error: no kernel image is available for execution on the device",
        "CUDA error: CUDA-capable device(s) is/are busy or unavailable", "CUDA error: invalid device ordinal",
        "CUDA error: invalid argument", "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED",
        "cuDNN error: CUDNN_STATUS_BAD_PARAM", "The size of tensor a (3) must match the size of tensor b (4)"})
    EXPECT_EQ(gpu_fault(text), GpuFault::computation) << text;
}

}  // namespace
}  // namespace cryored
