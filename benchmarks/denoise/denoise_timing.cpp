#include "benchmarks/denoise/denoise_timing.hpp"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>

#include "models/torch_device.hpp"
#include "models/unet_weights.hpp"

namespace cryored {
namespace {

using torch::Tensor;

double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void add(Seconds& sum, const Seconds& more, int times = 1) {
  sum.wall += times * more.wall;
  sum.best_wall += times * more.best_wall;
  sum.processor += times * more.processor;
  sum.best_processor += times * more.best_processor;
}

class Clock {
 public:
  Clock(c10::Device device, int repeats) : device_(device), repeats_(repeats) {}

  /// Medians over the runs, after one that is not counted.
  Seconds time(const std::function<void()>& action) const {
    std::vector<double> wall, processor;
    for (int i = 0; i <= repeats_; ++i) {
      wait();
      const auto start = std::chrono::steady_clock::now();
      const double used = processor_seconds();
      action();
      wait();
      if (i == 0) continue;
      wall.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      processor.push_back(processor_seconds() - used);
    }
    std::sort(wall.begin(), wall.end());
    std::sort(processor.begin(), processor.end());
    return {wall[wall.size() / 2], wall.front(), processor[processor.size() / 2], processor.front()};
  }

 private:
  void wait() const {
    if (device_.is_cuda()) at::accelerator::synchronizeDevice(device_.index());
  }
  c10::Device device_;
  int repeats_;
};

/// The operations of one pass by class, on tensors of the real shapes.
std::vector<PartTiming> time_parts(const UNetConfig& c, const TimingOptions& o, int block,
                                   const torch::TensorOptions& type, const Clock& clock) {
  std::vector<PartTiming> parts;
  PartTiming norm{"norm and activation", {}, 0}, resample{"down, up and joining", {}, 0};
  const auto cube = [&](std::int64_t channels, std::int64_t edge) {
    return torch::randn({o.batch, channels, edge, edge, edge}, type);
  };
  for (int l = 0; l < c.levels; ++l) {
    const std::int64_t edge = block >> l, width = c.channels(l);
    const double voxels = static_cast<double>(o.batch * edge * edge * edge);
    PartTiming level{"level " + std::to_string(l) + " convolutions", {}, 0};
    const auto convolve = [&](std::int64_t in) {
      const Tensor x = cube(in, edge), w = torch::randn({width, in, 3, 3, 3}, type);
      add(level.seconds, clock.time([&] { torch::conv3d(x, w, {}, 1, 1); }));
      level.gflop += 2e-9 * 27 * static_cast<double>(in * width) * voxels;
    };
    const int sides = l + 1 < c.levels ? 2 : 1;
    convolve(l == 0 ? c.first_channels() : c.channels(l - 1));
    if (sides == 2) convolve(2 * width);
    const int same = sides * (c.convs_per_level - 1);
    for (int i = 0; i < same; ++i) convolve(width);
    parts.push_back(level);

    const Tensor x = cube(width, edge);
    if (c.norm != Norm::none) {
      const Tensor scale = torch::ones({width}, type), shift = torch::zeros({width}, type);
      const std::int64_t groups = c.norm == Norm::instance ? width : width / 8;
      add(norm.seconds, clock.time([&] { torch::group_norm(x, groups, scale, shift); }), sides * c.convs_per_level);
    }
    add(norm.seconds, clock.time([&] { torch::silu(x); }), sides * c.convs_per_level);
    if (sides == 2) {
      const Tensor low = cube(c.channels(l + 1), edge / 2), other = cube(width, edge);
      const Tensor w = torch::randn({c.channels(l + 1), width, 2, 2, 2}, type);
      add(resample.seconds, clock.time([&] {
        torch::max_pool3d(x, 2);
        torch::cat({x, other}, 1);
        torch::conv_transpose3d(low, w, {}, 2);
      }));
      resample.gflop += 2e-9 * 8 * static_cast<double>(c.channels(l + 1) * width) * voxels / 8;
    }
  }
  parts.push_back(norm);
  parts.push_back(resample);
  return parts;
}

}  // namespace

DenoiseTiming time_denoiser(const TimingOptions& options) {
  const DeviceChoice choice = choose_device(options.device, survey_gpus());
  const c10::Device device = prepare_device(choice);
  if (options.threads > 0) at::set_num_threads(options.threads);
  const c10::InferenceMode inference;
  DenoiseTiming timing;
  timing.block = 64;
  UNet3d network{nullptr};
  if (options.weights.empty()) {
    network = UNet3d(UNetConfig{});
  } else {
    auto loaded = load_weights(find_weights(options.weights));
    network = loaded.network;
    timing.block = loaded.info.block;
  }
  if (options.block != 0) timing.block = options.block;
  const UNetConfig config = network->config();
  timing.device_text = choice.text;
  timing.architecture = config.name();
  timing.threads = at::get_num_threads();
  timing.batch = options.batch;
  timing.gflop_per_block = 1e-9 * unet_flop(config, timing.block, timing.block, timing.block);
  const Clock clock(device, options.repeats);
  const std::int64_t b = timing.block;
  const Tensor input = torch::randn({options.batch, config.in_channels, b, b, b}).to(device);
  for (const auto precision : {Precision::float32, Precision::bf16}) {
    const auto type =
        torch::TensorOptions(device).dtype(precision == Precision::float32 ? torch::kFloat : torch::kBFloat16);
    PrecisionTiming result;
    result.precision = precision;
    const std::int64_t n = device.is_cuda() ? 8192 : 2048;
    const Tensor left = torch::randn({n, n}, type), right = torch::randn({n, n}, type);
    const double cubed = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
    result.peak_gflop = 2e-9 * cubed;
    result.peak = clock.time([&] { torch::mm(left, right); });
    network->to(device, type.dtype().toScalarType());
    result.pass = clock.time([&] { network->forward(input); });
    result.parts = time_parts(config, options, timing.block, type, clock);
    timing.precisions.push_back(std::move(result));
  }
  return timing;
}

}  // namespace cryored
