#include "models/imaging/pinn.hpp"

#include <torch/nn/init.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <algorithm>
#include <sstream>

#include "core/base/error.hpp"
#include "models/imaging/wave.hpp"

namespace cryored {
namespace {

namespace nn = torch::nn;
using torch::Tensor;

/// Pixels over which the measured window falls to nothing at the box's edge.
constexpr std::int64_t kTaper = 4;
/// Phases of specimens are below 2; the exit wave of this one is still finite.
constexpr double kLargestPhase = 20;

nn::Conv2d convolution(int in, int out) { return nn::Conv2d(nn::Conv2dOptions(in, out, 3).padding(1)); }

Tensor run(const std::vector<std::shared_ptr<nn::Module>>& convolutions, Tensor x) {
  for (const auto& c : convolutions) x = torch::silu(c->as<nn::Conv2d>()->forward(x));
  return x;
}

void check_input(const Tensor& g, const Tensor& transfer, const Tensor& absorption) {
  const bool fits = g.dim() == 3 && transfer.dim() == 3 && transfer.is_complex() && g.size(1) == g.size(2) &&
                    transfer.size(1) == transfer.size(2) && transfer.size(1) >= g.size(1) && g.size(1) >= 8 &&
                    (transfer.size(0) == g.size(0) || transfer.size(0) == 1) && absorption.dim() == 3;
  if (!fits) {
    std::ostringstream found;
    found << g.sizes() << ", " << transfer.sizes() << ", " << absorption.sizes();
    throw UsageError(Problem{"phase network", "shapes of g, transfer function and absorption", found.str(),
                             "[B, n, n] with n at least 8, complex [B, P, P] with P at least n, [B, 1, 1]",
                             "give square images of one box"});
  }
  const Tensor good = torch::isfinite(g).flatten(1).all(1);
  if (!good.all().item<bool>()) {
    const auto image = torch::logical_not(good).to(torch::kInt).argmax().item<std::int64_t>();
    throw InputError(Problem{"phase network", "image " + std::to_string(image + 1) + " of the batch",
                             "pixels that are NaN or infinite", "finite numbers",
                             "leave the particle out, or extract it again"});
  }
}

}  // namespace

UNet2dImpl::UNet2dImpl(int in, int levels, int width, int convs_per_level) : levels_(levels) {
  const auto channels = [&](int level) { return width << level; };
  const auto block = [&](const std::string& name, int first, int out) {
    std::vector<std::shared_ptr<nn::Module>> list;
    for (int i = 0; i < convs_per_level; ++i)
      list.push_back(register_module(name + "_conv" + std::to_string(i), convolution(i == 0 ? first : out, out)));
    return list;
  };
  for (int l = 0; l < levels; ++l) {
    const std::string n = std::to_string(l);
    encoder_.push_back(block("encoder" + n, l == 0 ? in : channels(l - 1), channels(l)));
    if (l + 1 == levels) break;
    up_.push_back(register_module(
        "up" + n, nn::ConvTranspose2d(nn::ConvTranspose2dOptions(channels(l + 1), channels(l), 2).stride(2))));
    decoder_.push_back(block("decoder" + n, 2 * channels(l), channels(l)));
  }
  torch::NoGradGuard no_grad;
  for (auto& p : named_parameters())
    if (p.value().dim() > 1)
      nn::init::kaiming_normal_(p.value(), 0.0, torch::kFanIn, torch::kReLU);
    else
      p.value().zero_();
  last_weight_ = register_parameter("last_weight", torch::zeros({1, width, 1, 1}));
  last_bias_ = register_parameter("last_bias", torch::zeros({1}));
}

Tensor UNet2dImpl::forward(const Tensor& input) {
  const std::int64_t ny = input.size(2), nx = input.size(3), multiple = std::int64_t{1} << (levels_ - 1);
  const std::int64_t my = (multiple - ny % multiple) % multiple, mx = (multiple - nx % multiple) % multiple;
  Tensor x = mx || my ? torch::constant_pad_nd(input, {0, mx, 0, my}, 0) : input;
  std::vector<Tensor> skips;
  for (int l = 0; l < levels_; ++l) {
    const auto i = static_cast<std::size_t>(l);
    if (l > 0) x = torch::max_pool2d(x, 2);
    x = run(encoder_[i], x);
    if (l + 1 < levels_) skips.push_back(x);
  }
  for (int l = levels_ - 2; l >= 0; --l) {
    const auto i = static_cast<std::size_t>(l);
    x = up_[i]->as<nn::ConvTranspose2d>()->forward(x);
    x = run(decoder_[i], torch::cat({skips[i].to(x.scalar_type()), x}, 1));
  }
  return torch::conv2d(x, last_weight_, last_bias_).narrow(2, 0, ny).narrow(3, 0, nx);
}

PinnImpl::PinnImpl(const PinnConfig& config) : config_(config) {
  config_.check();
  const int in = 1 + static_cast<int>(config_.channels.size());
  for (int k = 0; k < (config_.shared ? 1 : config_.stages); ++k)
    nets_.push_back(register_module("stage" + std::to_string(k),
                                    UNet2d(in, config_.levels, config_.width, config_.convs_per_level)));
}

std::vector<Tensor> PinnImpl::stages(const Tensor& g, const Tensor& transfer, const Tensor& absorption) {
  check_input(g, transfer, absorption);
  const std::int64_t n = g.size(1), padded = transfer.size(1);
  const Tensor window = measured_window(n, padded, std::min(kTaper, n / 8), g.options());
  const Tensor amplitude = pad_images(amplitude_of(g), padded, 1);
  // The SD of g, about the noise's; not differentiated, and bounded away from 0 for images without noise.
  const Tensor scale = config_.scaled ? torch::std(g.detach(), {1, 2}, true, true).clamp(1e-3, 1e2)
                                      : torch::full({1, 1, 1}, 0.1, g.options());
  const Tensor bounded = amplitude_of(g).square();  // finite also where g is beyond all bounds
  std::vector<Tensor> fixed;                        // channels that no stage changes
  for (const auto channel : config_.channels) {
    if (channel == PinnChannel::observation) fixed.push_back(bounded - 1);
    if (channel == PinnChannel::wiener) fixed.push_back(wiener_phase(bounded, transfer, absorption, 0.1));
  }
  std::vector<Tensor> phases;
  Tensor phi = torch::zeros_like(g);
  for (int k = 0; k < config_.stages; ++k) {
    const Tensor psi = exit_wave(pad_images(phi.clamp(-kLargestPhase, kLargestPhase), padded, 0), absorption);
    const Tensor wave = crop_images(physics_step(psi, transfer, amplitude, window), n);
    const Tensor measured = phase_of(wave, absorption);
    std::vector<Tensor> input{measured};
    std::size_t next_fixed = 0;
    for (const auto channel : config_.channels) switch (channel) {
        case PinnChannel::previous:
          input.push_back(phi);
          break;
        case PinnChannel::amplitude:
          input.push_back(log_modulus(wave));
          break;
        case PinnChannel::observation:
        case PinnChannel::wiener:
          input.push_back(fixed[next_fixed++]);
          break;
      }
    auto& net = nets_[config_.shared ? 0 : static_cast<std::size_t>(k)];
    const Tensor seen = (torch::stack(input, 1) / scale.unsqueeze(1)).to(net->parameters().front().scalar_type());
    const Tensor made = net->forward(seen).squeeze(1).to(g.scalar_type()) * scale;
    phi = config_.residual ? measured + made : made;
    phases.push_back(phi);
  }
  return phases;
}

Tensor PinnImpl::forward(const Tensor& g, const Tensor& transfer, const Tensor& absorption) {
  return stages(g, transfer, absorption).back();
}

namespace {

/// Visits (kernel area, channels in and out, level whose pixels are read or written) of each convolution of a U-Net.
template <typename Visitor>
void each_convolution(const PinnConfig& c, Visitor visit) {
  const auto channels = [&](int level) { return c.width << level; };
  const auto block = [&](int in, int level) {
    for (int i = 0; i < c.convs_per_level; ++i) visit(9, i == 0 ? in : channels(level), channels(level), level);
  };
  for (int l = 0; l < c.levels; ++l) {
    block(l == 0 ? 1 + static_cast<int>(c.channels.size()) : channels(l - 1), l);
    if (l + 1 == c.levels) break;
    visit(4, channels(l + 1), channels(l), l + 1);  // transposed: its work is on the pixels that it reads
    block(2 * channels(l), l);
  }
  visit(1, c.width, 1, 0);
}

}  // namespace

std::int64_t pinn_parameters(const PinnConfig& c) {
  c.check();
  std::int64_t count = 0;
  each_convolution(c, [&](int area, int in, int out, int) { count += (std::int64_t{area} * in + 1) * out; });
  return count * (c.shared ? 1 : c.stages);
}

double pinn_flop(const PinnConfig& c, std::int64_t n) {
  c.check();
  double sum = 0;
  each_convolution(c, [&](int area, int in, int out, int level) {
    sum += 2.0 * area * in * out * static_cast<double>(n * n) / static_cast<double>(1 << (2 * level));
  });
  return sum * c.stages;
}

}  // namespace cryored
