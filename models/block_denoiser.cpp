#include "models/block_denoiser.hpp"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/base/error.hpp"
#include "models/blocks.hpp"
#include "models/torch_device.hpp"
#include "models/unet_weights.hpp"

namespace cryored {
namespace {

[[noreturn]] void misuse(const char* option, const std::string& found, const std::string& allowed) {
  throw UsageError(Problem{"denoiser", option, found, allowed, "correct this option"});
}

class UNetDenoiser : public BlockDenoiser {
 public:
  UNetDenoiser(const std::string& path, const DenoiserOptions& options)
      : options_(options),
        choice_(choose_device(options.device, options.device == "cpu" ? GpuSurvey{} : survey_gpus())),
        device_(prepare_device(choice_)) {
    if (options.threads > 0) at::set_num_threads(options.threads);
    auto loaded = load_weights(path);
    info_ = std::move(loaded.info);
    network_ = std::move(loaded.network);
    if (info_.architecture.in_channels != 1)
      throw InputError(Problem{path, "in_channels", std::to_string(info_.architecture.in_channels), "1",
                               "use weights of a network whose only input is the map"});
    const int multiple = info_.architecture.multiple(), smallest = smallest_block();
    if (options.block != 0 && (options.block < smallest || options.block % multiple != 0))
      misuse("block", std::to_string(options.block),
             "multiples of " + std::to_string(multiple) + " from " + std::to_string(smallest) + ", or 0");
    if (options.overlap < -1 || (options.block != 0 && options.overlap >= options.block))
      misuse("overlap", std::to_string(options.overlap), "0 to less than the block, or -1");
    if (options.batch < 0 || options.batch > 4096) misuse("batch", std::to_string(options.batch), "1 to 4096, or 0");
    try {
      guarded([&] {
        network_->to(device_, options.precision == Precision::bf16 ? torch::kBFloat16 : torch::kFloat);
        return 0;
      });
    } catch (const OutOfMemory& failure) {
      if (device_.is_cuda()) throw DeviceMemoryError(explain_gpu_failure(choice_, failure.what));
      throw SystemError(Problem{"denoiser", "memory", failure.what, "enough for the weights", "end other programs"});
    }
  }

  double voxel_size() const override { return info_.voxel_size; }
  const WeightsInfo& weights() const override { return info_; }
  std::string device_text() const override { return choice_.text; }
  const Pass& last_pass() const override { return pass_; }

  std::string description() const override {
    return info_.architecture.name() + (options_.precision == Precision::bf16 ? " bf16" : "") + " " + info_.name +
           " sha256:" + info_.sha256;
  }

  void set_pass_options(const PassOptions& options) override {
    if (options.threads > 0) at::set_num_threads(options.threads);
    options_.memory_limit = options.memory_limit;
    checkpoint_ = options.checkpoint;
  }

  void release_memory() override { release_cached_memory(device_); }

  Map denoise(const Map& map) override {
    if (map.nx == 0 || map.nx != map.ny || map.nx != map.nz)
      misuse("map", std::to_string(map.nx) + " x " + std::to_string(map.ny) + " x " + std::to_string(map.nz), "a cube");
    const float scale = map_scale(map, info_.normalisation);
    Pass pass = plan(map.nx);
    for (;;) {
      try {
        const auto start = std::chrono::steady_clock::now();
        Map result = run(map, scale, pass);
        pass.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        pass_ = pass;
        return result;
      } catch (const OutOfMemory& failure) {
        release_cached_memory(device_);
        if (pass.batch > 1)
          pass.batch /= 2;
        else if (options_.block == 0 && pass.block - info_.architecture.multiple() >= smallest_block())
          set_block(pass, pass.block - info_.architecture.multiple());
        else if (device_.is_cuda())
          throw DeviceMemoryError(explain_gpu_failure(choice_, failure.what));
        else
          throw SystemError(Problem{"denoiser", "memory", failure.what,
                                    "enough for one block of " + std::to_string(pass.block),
                                    "end other programs or give a smaller block"});
      }
    }
  }

 private:
  /// One voxel at the lowest level has no variance, so instance normalisation needs two.
  int smallest_block() const { return 2 * info_.architecture.multiple(); }

  void set_block(Pass& pass, int block) const {
    pass.block = block;
    pass.overlap = std::min(options_.overlap >= 0 ? options_.overlap : block / 4, block - 1);
  }

  /// Block and batch that keep to the memory limit.
  Pass plan(std::size_t edge) const {
    const auto& config = info_.architecture;
    Pass pass;
    set_block(pass, options_.block != 0 ? options_.block : default_block(config, info_.block, info_.voxel_size, edge));
    pass.batch = options_.batch != 0 ? options_.batch : device_.is_cuda() ? 4 : 1;
    const auto too_much = [&] {
      return options_.memory_limit != 0 &&
             denoiser_memory(config, edge, pass.block, pass.batch, options_.precision) > options_.memory_limit;
    };
    while (too_much() && pass.batch > 1) pass.batch /= 2;
    while (too_much() && options_.block == 0 && pass.block - config.multiple() >= smallest_block())
      set_block(pass, pass.block - config.multiple());
    if (too_much())
      misuse("memory limit", std::to_string(options_.memory_limit) + " bytes",
             "at least " + std::to_string(denoiser_memory(config, edge, pass.block, 1, options_.precision)) +
                 " bytes for a map of " + std::to_string(edge) + " voxels in blocks of " + std::to_string(pass.block));
    return pass;
  }

  Map run(const Map& map, float scale, Pass& pass) {
    const auto block = static_cast<std::size_t>(pass.block), volume = block * block * block;
    const AxisPlan axis = plan_axis(map.nx, block, static_cast<std::size_t>(pass.overlap));
    const std::size_t per_axis = axis.starts.size(), total = per_axis * per_axis * per_axis;
    pass.blocks = static_cast<long>(total);
    Map result(map.nx, map.ny, map.nz);
    result.fill(0.0f);
    for (std::size_t first = 0; first < total; first += static_cast<std::size_t>(pass.batch)) {
      if (checkpoint_) checkpoint_();
      const std::size_t count = std::min(total - first, static_cast<std::size_t>(pass.batch));
      const auto split = [&](std::size_t i) {
        return std::array<std::size_t, 3>{i % per_axis, i / per_axis % per_axis, i / per_axis / per_axis};
      };
      const torch::Tensor output = guarded([&] {
        const c10::InferenceMode inference;
        const auto b = static_cast<std::int64_t>(block);
        torch::Tensor input = torch::empty({static_cast<std::int64_t>(count), 1, b, b, b}, torch::kFloat);
        for (std::size_t i = 0; i < count; ++i) {
          const auto [ix, iy, iz] = split(first + i);
          cut_block(map, axis.starts[ix], axis.starts[iy], axis.starts[iz], block, scale,
                    input.data_ptr<float>() + i * volume);
        }
        return network_->forward(input.to(device_)).to(torch::kCPU).contiguous();
      });
      for (std::size_t i = 0; i < count; ++i) {
        const auto [ix, iy, iz] = split(first + i);
        add_block(output.const_data_ptr<float>() + i * volume, axis, ix, axis, iy, axis, iz, result);
      }
    }
    for (auto& v : result.data) {
      v *= scale;
      if (!std::isfinite(v))
        throw SystemError(Problem{info_.path, "output of the network", std::to_string(v), "finite values",
                                  "run cryored weights to verify the file; try --precision float32"});
    }
    return result;
  }

  template <typename Action>
  auto guarded(Action action) -> decltype(action()) {
    return with_our_errors(choice_, "report this with the map's size and the weights", action);
  }

  DenoiserOptions options_;
  DeviceChoice choice_;
  c10::Device device_;
  WeightsInfo info_;
  UNet3d network_{nullptr};
  Pass pass_;
  std::function<void()> checkpoint_;
};

}  // namespace

std::unique_ptr<BlockDenoiser> make_denoiser(const std::string& weights_path, const DenoiserOptions& options) {
  return std::make_unique<UNetDenoiser>(weights_path, options);
}

}  // namespace cryored
