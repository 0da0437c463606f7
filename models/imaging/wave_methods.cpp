#include "models/imaging/wave_methods.hpp"

#include <torch/fft.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>
#include <numbers>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

#include "core/imaging/electrons.hpp"
#include "models/imaging/wave.hpp"
#include "models/torch_device.hpp"

namespace cryored {
namespace {

using torch::Tensor;
using torch::indexing::Slice;

/// Images computed at once.
constexpr std::size_t kBatch = 8;
/// Pixels at the edge of the box whose intensity counts less and less: what lies beyond is unknown.
constexpr std::int64_t kTaper = 4;

/// The rounds that both methods share; they differ in how the phase is made plausible.
class Projections : public PhaseMethod {
 public:
  Projections(int iterations, const DeviceChoice& device, int threads)
      : iterations_(iterations), device_(prepare_device(device)), threads_(device.cuda ? 1 : threads) {}

  void retrieve(ParticleImages& images) override {
    const std::size_t count = images.count();
    std::vector<std::size_t> grid(count);
    std::transform(images.ctfs.begin(), images.ctfs.end(), grid.begin(),
                   [&](const CtfParameters& ctf) { return padded_box(images.box, images.pixel_size, ctf); });
    std::vector<std::pair<std::size_t, std::size_t>> batches;
    for (std::size_t first = 0, last = 0; first < count; first = last) {
      while (last < count && last - first < kBatch && grid[last] == grid[first]) ++last;
      batches.emplace_back(first, last);
    }
    // A batch keeps to one thread: small transforms gain nothing from more, and the result does not depend on how many
    // there are.
    torch::set_num_threads(1);
    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    const auto work = [&] {
      const torch::NoGradGuard no_grad;
      try {
        for (std::size_t b = next++; b < batches.size(); b = next++)
          retrieve_batch(images, batches[b].first, batches[b].second,
                         static_cast<std::int64_t>(grid[batches[b].first]));
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

 protected:
  /// The phase [B, box, box] that the method takes for `phase`; `contrast` is the noise of g.
  virtual Tensor plausible(const Tensor& phase, double contrast, double pixel_size) const = 0;
  const int iterations_;

 private:
  void retrieve_batch(ParticleImages& images, std::size_t first, std::size_t last, std::int64_t edge) const {
    const std::vector<CtfParameters> ctfs(images.ctfs.begin() + static_cast<std::ptrdiff_t>(first),
                                          images.ctfs.begin() + static_cast<std::ptrdiff_t>(last));
    const std::size_t values = ctfs.size() * images.box * images.box;
    const auto box = static_cast<std::int64_t>(images.box);
    const double contrast = background_contrast(images.dose, images.pixel_size);
    float* const data = images.image(first);
    intensity_from_image(contrast, values, data);
    const auto options = torch::TensorOptions(device_).dtype(torch::kFloat);
    const Tensor g = torch::from_blob(data, {static_cast<std::int64_t>(ctfs.size()), box, box}).to(device_);
    const Tensor transfer = transfer_function(ctfs, edge, images.pixel_size, options);
    const Tensor absorbed = absorption(ctfs, options);
    const Tensor amplitude = pad_images(amplitude_of(g), edge, 1);
    const Tensor window = measured_window(box, edge, kTaper, options);
    Tensor phase = torch::zeros_like(g);
    for (int i = 0; i < iterations_; ++i) {
      const Tensor psi = exit_wave(pad_images(phase, edge, 0), absorbed);
      const Tensor next = phase_of(physics_step(psi, transfer, amplitude, window), absorbed);
      phase = plausible(crop_images(next, box), contrast, images.pixel_size);
    }
    phase = phase.to(torch::kCPU).contiguous();
    std::memcpy(data, phase.data_ptr<float>(), values * sizeof(float));
  }

  c10::Device device_;
  int threads_;
};

class Iterative : public Projections {
 public:
  Iterative(const IterativeOptions& options, const DeviceChoice& device, int threads)
      : Projections(options.iterations, device, threads), options_(options) {}
  std::string description() const override {
    std::ostringstream text;
    text << "iterative, " << iterations_ << " rounds, " << options_.resolution << " A";
    return text.str();
  }

 protected:
  Tensor plausible(const Tensor& phase, double, double pixel_size) const override {
    const std::int64_t n = phase.size(-1);
    const Tensor kx = torch::fft::rfftfreq(n, pixel_size, phase.options());
    const Tensor ky = torch::fft::fftfreq(n, pixel_size, phase.options());
    const Tensor k = torch::sqrt(ky.square().unsqueeze(1) + kx.square().unsqueeze(0)) * options_.resolution;
    const Tensor filter = 0.5 + 0.5 * torch::cos(std::numbers::pi * torch::clamp((k - 0.9) / 0.2, 0, 1));
    return torch::fft::irfft2(torch::fft::rfft2(phase) * filter, c10::IntArrayRef{n, n});
  }

 private:
  IterativeOptions options_;
};

/// Differences to the next pixel, 0 at the far edge: [B, 2, y, x].
Tensor differences(const Tensor& u) {
  Tensor g = torch::zeros({u.size(0), 2, u.size(1), u.size(2)}, u.options());
  g.index_put_({Slice(), 0, Slice(0, -1)}, u.index({Slice(), Slice(1)}) - u.index({Slice(), Slice(0, -1)}));
  g.index_put_({Slice(), 1, Slice(), Slice(0, -1)},
               u.index({Slice(), Slice(), Slice(1)}) - u.index({Slice(), Slice(), Slice(0, -1)}));
  return g;
}

/// Minus the adjoint of differences().
Tensor divergence(const Tensor& p) {
  const Tensor py = p.select(1, 0).slice(1, 0, -1), px = p.select(1, 1).slice(2, 0, -1);
  return torch::constant_pad_nd(py, {0, 0, 0, 1}) - torch::constant_pad_nd(py, {0, 0, 1, 0}) +
         torch::constant_pad_nd(px, {0, 1}) - torch::constant_pad_nd(px, {1, 0});
}

class Tv : public Projections {
 public:
  Tv(const TvOptions& options, const DeviceChoice& device, int threads)
      : Projections(options.iterations, device, threads), options_(options) {}
  std::string description() const override {
    std::ostringstream text;
    text << "tv, " << iterations_ << " rounds of " << options_.inner << ", strength " << options_.strength;
    return text.str();
  }

 protected:
  /// argmin_u |u - phase|^2 / 2 + weight TV(u).
  Tensor plausible(const Tensor& phase, double contrast, double) const override {
    const double weight = options_.strength * contrast / 2;
    if (!(weight > 0)) return phase;
    Tensor p = torch::zeros({phase.size(0), 2, phase.size(1), phase.size(2)}, phase.options()), q = p;
    double t = 1;
    for (int i = 0; i < options_.inner; ++i) {
      Tensor next = q + differences(phase + weight * divergence(q)) / (8 * weight);
      next = next / torch::clamp_min(torch::sqrt(next.square().sum(1, true)), 1);
      const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
      q = next + ((t - 1) / t_next) * (next - p);
      p = next;
      t = t_next;
    }
    return phase + weight * divergence(p);
  }

 private:
  TvOptions options_;
};

}  // namespace

std::unique_ptr<PhaseMethod> make_iterative(const IterativeOptions& options, const DeviceChoice& device, int threads) {
  return std::make_unique<Iterative>(options, device, threads);
}
std::unique_ptr<PhaseMethod> make_tv(const TvOptions& options, const DeviceChoice& device, int threads) {
  return std::make_unique<Tv>(options, device, threads);
}

}  // namespace cryored
