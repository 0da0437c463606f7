#include "benchmarks/phase/phase_timing.hpp"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <random>

#include "core/imaging/electrons.hpp"
#include "models/imaging/pinn_method.hpp"
#include "models/imaging/pinn_weights.hpp"
#include "models/torch_device.hpp"

namespace cryored {
namespace {

double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Times {
  std::vector<double> wall, processor;  ///< sorted
};

/// One run is not counted.
Times time(c10::Device device, int repeats, const std::function<void()>& action) {
  Times times;
  const auto wait = [&] {
    if (device.is_cuda()) at::accelerator::synchronizeDevice(device.index());
  };
  for (int i = 0; i <= repeats; ++i) {
    wait();
    const auto start = std::chrono::steady_clock::now();
    const double used = processor_seconds();
    action();
    wait();
    if (i == 0) continue;
    times.wall.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    times.processor.push_back(processor_seconds() - used);
  }
  std::sort(times.wall.begin(), times.wall.end());
  std::sort(times.processor.begin(), times.processor.end());
  return times;
}

double median(const std::vector<double>& sorted) { return sorted[sorted.size() / 2]; }

}  // namespace

PhaseTimings time_phase_network(const PhaseTimingOptions& o) {
  const DeviceChoice choice = choose_device(o.device, survey_gpus());
  const c10::Device device = prepare_device(choice);
  PhaseTimings result;
  result.device_text = choice.text;
  result.gpu = choice.cuda;
  ParticleImages images;
  images.box = static_cast<std::size_t>(o.box);
  images.pixel_size = o.pixel_size;
  images.dose = kDefaultDose;
  images.ctfs.resize(static_cast<std::size_t>(o.count));
  for (CtfParameters& ctf : images.ctfs) ctf.defocus_u = ctf.defocus_v = o.defocus;
  result.grid = padded_box(images.box, o.pixel_size, images.ctfs[0], kPinnGridResolution);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  images.pixels.resize(images.count() * images.box * images.box);
  for (float& v : images.pixels) v = normal(random);

  const LoadedPinn loaded = load_pinn(o.weights);
  const PinnConfig& config = loaded.network->config();
  for (const Precision precision : {Precision::float32, Precision::bf16}) {
    PhaseTiming timing;
    timing.precision = precision;
    timing.gflop = 1e-9 * pinn_flop(config, o.box) * o.count;
    const auto method = make_pinn(o.weights, precision, choice, o.threads);
    if (result.description.empty()) result.description = method->description();
    const Times whole = time(device, o.repeats, [&] {
      ParticleImages copy = images;
      method->retrieve(copy);
    });
    timing.wall = median(whole.wall);
    timing.processor = median(whole.processor);

    const c10::InferenceMode inference;
    at::set_num_threads(1);
    const auto type =
        torch::TensorOptions(device).dtype(precision == Precision::float32 ? torch::kFloat : torch::kBFloat16);
    constexpr int batch = 8;
    const int in = 1 + static_cast<int>(config.channels.size());
    UNet2d net(in, config.levels, config.width, config.convs_per_level);
    net->to(device, type.dtype().toScalarType());
    const torch::Tensor input = torch::randn({batch, in, o.box, o.box}, type);
    const Times nets = time(device, o.repeats, [&] { net->forward(input); });
    timing.nets_processor = median(choice.cuda ? nets.wall : nets.processor) * config.stages * o.count / batch;

    const std::int64_t n = choice.cuda ? 8192 : 2048;
    const torch::Tensor left = torch::randn({n, n}, type), right = torch::randn({n, n}, type);
    const Times product = time(device, o.repeats, [&] { torch::mm(left, right); });
    const auto edge = static_cast<double>(n);
    timing.peak = 2e-9 * edge * edge * edge / (choice.cuda ? product.wall : product.processor).front();
    result.precisions.push_back(timing);
  }
  return result;
}

}  // namespace cryored
