#include "models/imaging/wave_methods.hpp"

#include <torch/fft.h>

#include <cmath>
#include <numbers>
#include <sstream>

#include "models/imaging/wave.hpp"
#include "models/imaging/wave_method.hpp"

namespace cryored {
namespace {

using torch::Tensor;
using torch::indexing::Slice;

/// Pixels at the edge of the box whose intensity counts less and less: what lies beyond is unknown.
constexpr std::int64_t kTaper = 4;

/// The rounds that both methods share; they differ in how the phase is made plausible.
class Projections : public WaveMethod {
 public:
  Projections(int iterations, const DeviceChoice& device, int threads)
      : WaveMethod(device, threads, 0), iterations_(iterations) {}

 protected:
  Tensor phases(const Batch& batch) const override {
    const std::int64_t box = batch.g.size(1), edge = batch.transfer.size(1);
    const Tensor amplitude = pad_images(amplitude_of(batch.g), edge, 1);
    const Tensor window = measured_window(box, edge, kTaper, batch.g.options());
    Tensor phase = torch::zeros_like(batch.g);
    for (int i = 0; i < iterations_; ++i) {
      const Tensor psi = exit_wave(pad_images(phase, edge, 0), batch.absorbed);
      const Tensor next = phase_of(physics_step(psi, batch.transfer, amplitude, window), batch.absorbed);
      phase = plausible(crop_images(next, box), batch.contrast, batch.pixel_size);
    }
    return phase;
  }
  /// The phase [B, box, box] that the method takes for `phase`; `contrast` is the noise of g.
  virtual Tensor plausible(const Tensor& phase, double contrast, double pixel_size) const = 0;
  const int iterations_;
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
