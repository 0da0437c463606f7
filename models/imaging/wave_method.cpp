#include "models/imaging/wave_method.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/imaging/electrons.hpp"
#include "models/imaging/wave.hpp"
#include "models/torch_device.hpp"

namespace cryored {
namespace {

/// Images computed at once.
constexpr std::size_t kBatch = 8;

}  // namespace

WaveMethod::WaveMethod(const DeviceChoice& device, int threads, double resolution)
    : device_(prepare_device(device)), threads_(device.cuda ? 1 : threads), resolution_(resolution) {}

void WaveMethod::retrieve(ParticleImages& images) {
  const std::size_t count = images.count();
  std::vector<std::size_t> grid(count);
  std::transform(images.ctfs.begin(), images.ctfs.end(), grid.begin(),
                 [&](const CtfParameters& ctf) { return padded_box(images.box, images.pixel_size, ctf, resolution_); });
  std::vector<std::pair<std::size_t, std::size_t>> batches;
  for (std::size_t first = 0, last = 0; first < count; first = last) {
    while (last < count && last - first < kBatch && grid[last] == grid[first]) ++last;
    batches.emplace_back(first, last);
  }
  // Small transforms and images gain nothing from more than one thread each.
  torch::set_num_threads(1);
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    const torch::NoGradGuard no_grad;
    try {
      for (std::size_t b = next++; b < batches.size(); b = next++)
        retrieve_batch(images, batches[b].first, batches[b].second, grid[batches[b].first]);
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = batches.size();
    }
  };
  std::vector<std::thread> helpers;
  for (int i = 1; i < std::min(threads_, static_cast<int>(batches.size())); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

void WaveMethod::retrieve_batch(ParticleImages& images, std::size_t first, std::size_t last, std::size_t edge) const {
  const std::vector<CtfParameters> ctfs(images.ctfs.begin() + static_cast<std::ptrdiff_t>(first),
                                        images.ctfs.begin() + static_cast<std::ptrdiff_t>(last));
  const std::size_t values = ctfs.size() * images.box * images.box;
  const auto box = static_cast<std::int64_t>(images.box);
  const double contrast = background_contrast(images.dose, images.pixel_size);
  float* const data = images.image(first);
  intensity_from_image(contrast, values, data);
  const auto options = torch::TensorOptions(device_).dtype(torch::kFloat);
  const torch::Tensor g = torch::from_blob(data, {static_cast<std::int64_t>(ctfs.size()), box, box}).to(device_);
  const torch::Tensor found =
      phases({g, transfer_function(ctfs, static_cast<std::int64_t>(edge), images.pixel_size, options),
              absorption(ctfs, options), contrast, images.pixel_size})
          .to(torch::kCPU)
          .contiguous();
  std::memcpy(data, found.data_ptr<float>(), values * sizeof(float));
}

}  // namespace cryored
