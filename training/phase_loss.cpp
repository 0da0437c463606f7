#include "training/phase_loss.hpp"

#include <torch/fft.h>

#include <numbers>

namespace cryored {

using torch::Tensor;

namespace {

/// FRC and whitened errors against the mean square error, both of order 1.
constexpr double kShare = 0.5;

}  // namespace

RingCorrelation::RingCorrelation(std::int64_t n, torch::Device device) : rings_(n / 2) {
  const auto options = torch::TensorOptions(device).dtype(torch::kFloat);
  const Tensor at = torch::arange(n, options) - static_cast<double>(n / 2);
  const Tensor r = torch::sqrt(at.square().unsqueeze(1) + at.square().unsqueeze(0)) / static_cast<double>(n);
  disc_ = 0.5 + 0.5 * torch::cos(std::numbers::pi * torch::clamp((r - 0.4) / 0.05, 0, 1));
  const Tensor ky = torch::fft::fftfreq(n, 1.0 / static_cast<double>(n), options);
  const Tensor kx = torch::arange(n / 2 + 1, options);
  const Tensor k = torch::sqrt(ky.square().unsqueeze(1) + kx.square().unsqueeze(0));
  // Ring 0 and what lies beyond Nyquist go to one bin that is dropped.
  const Tensor ring = torch::round(k).to(torch::kLong);
  ring_ = torch::where((ring < 1).logical_or(ring > rings_), torch::zeros_like(ring), ring).flatten();
}

Tensor RingCorrelation::transform(const Tensor& images) const {
  const Tensor mean = (images * disc_).sum({1, 2}, true) / disc_.sum();
  return torch::fft::rfft2((images - mean) * disc_).flatten(1);
}

Tensor RingCorrelation::sums(const Tensor& power) const {
  return torch::zeros({power.size(0), rings_ + 1}, power.options()).index_add(1, ring_, power).narrow(1, 1, rings_);
}

Tensor RingCorrelation::curve(const Tensor& phase, const Tensor& truth) const {
  const Tensor a = torch::view_as_real(transform(phase)), b = torch::view_as_real(transform(truth));
  const Tensor cross = sums((a * b).sum(-1)), own = sums(a.square().sum(-1)), true_power = sums(b.square().sum(-1));
  // Relative to the whole power, so that an image of nothing gives 0 and a finite gradient.
  const Tensor floor = 1e-12 * true_power.sum(1, true) + 1e-20;
  return cross / torch::sqrt((own + floor) * (true_power + floor));
}

Tensor RingCorrelation::whitened_error(const Tensor& phase, const Tensor& truth) const {
  const Tensor e = torch::view_as_real(transform(phase - truth)), b = torch::view_as_real(transform(truth));
  const Tensor true_power = sums(b.square().sum(-1));
  return (sums(e.square().sum(-1)) / (true_power + 1e-12 * true_power.sum(1, true) + 1e-20)).mean(1);
}

Tensor relative_error(const Tensor& phase, const Tensor& truth) {
  const Tensor power = torch::var(truth, {1, 2}, false).clamp_min(1e-8);
  return ((phase - truth).square().mean({1, 2}) / power).mean();
}

Tensor phase_loss(PhaseLoss kind, const RingCorrelation& rings, const Tensor& phase, const Tensor& truth,
                  std::int64_t repeat) {
  const Tensor mse = relative_error(phase, truth);
  if (kind == PhaseLoss::mse) return mse;
  if (kind == PhaseLoss::whitened) return mse + kShare * rings.whitened_error(phase, truth).mean();
  Tensor lost = 1 - rings.area(phase, truth);
  if (repeat > 1) {
    const std::int64_t views = phase.size(0) / repeat, n = phase.size(1);
    const Tensor mean = phase.view({views, repeat, n, n}).mean(1),
                 same = truth.view({views, repeat, n, n}).select(1, 0);
    lost = 0.5 * lost + 0.5 * (1 - rings.area(mean, same));
  }
  return kShare * mse + lost;
}

}  // namespace cryored
