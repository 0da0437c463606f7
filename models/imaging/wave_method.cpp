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
    : choice_(device), device_(prepare_device(device)), threads_(device.cuda ? 1 : threads), resolution_(resolution) {}

void WaveMethod::check(const CtfParameters& ctf, std::size_t box, double pixel_size) const {
  padded_box(box, pixel_size, ctf, resolution_);
}

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

void WaveMethod::out_of_memory(const std::string& what, const std::string& needed) const {
  if (device_.is_cuda()) throw DeviceMemoryError(explain_gpu_failure(choice_, "out of memory: " + what));
  throw SystemError(Problem{"phase retrieval", "memory", what, needed,
                            "end other programs, raise the limit (ulimit -v), or give fewer --threads"});
}

void WaveMethod::load(torch::nn::Module& network, c10::ScalarType type) const {
  try {
    with_our_errors(choice_, "verify the weights (cryored weights)", [&] { network.to(device_, type); });
  } catch (const OutOfMemory& failure) {
    out_of_memory(failure.what, "enough for the weights");
  }
}

void WaveMethod::retrieve_batch(ParticleImages& images, std::size_t first, std::size_t last, std::size_t edge) const {
  const std::vector<CtfParameters> ctfs(images.ctfs.begin() + static_cast<std::ptrdiff_t>(first),
                                        images.ctfs.begin() + static_cast<std::ptrdiff_t>(last));
  const std::size_t values = ctfs.size() * images.box * images.box;
  const auto box = static_cast<std::int64_t>(images.box);
  const double contrast = background_contrast(images.dose, images.pixel_size);
  float* const data = images.image(first);
  torch::Tensor found;
  try {
    found = with_our_errors(choice_, "report this with the size of the images", [&] {
      const auto options = torch::TensorOptions(device_).dtype(torch::kFloat);
      torch::Tensor g = torch::empty({static_cast<std::int64_t>(ctfs.size()), box, box}, torch::kFloat);
      std::copy_n(data, values, g.data_ptr<float>());
      intensity_from_image(contrast, values, g.data_ptr<float>());
      return phases({g.to(device_),
                     transfer_function(ctfs, static_cast<std::int64_t>(edge), images.pixel_size, options),
                     absorption(ctfs, options), contrast, images.pixel_size})
          .to(torch::kCPU)
          .contiguous();
    });
  } catch (const OutOfMemory& failure) {
    release_cached_memory(device_);
    if (ctfs.size() == 1)
      out_of_memory(failure.what,
                    "enough for one image on a grid of " + std::to_string(edge) + " x " + std::to_string(edge));
    const std::size_t middle = first + ctfs.size() / 2;
    retrieve_batch(images, first, middle, edge);
    retrieve_batch(images, middle, last, edge);
    return;
  }
  std::memcpy(data, found.data_ptr<float>(), values * sizeof(float));
}

}  // namespace cryored
