#include "models/unet.hpp"

#include <torch/nn/init.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <sstream>

#include "core/base/error.hpp"

namespace cryored {
namespace {

namespace nn = torch::nn;

nn::Conv3d convolution(int in, int out, int kernel, int stride, bool bias) {
  return nn::Conv3d(nn::Conv3dOptions(in, out, kernel).stride(stride).padding(kernel == 3 ? 1 : 0).bias(bias));
}

torch::Tensor activate(torch::Tensor x, Activation activation, bool may_overwrite) {
  switch (activation) {
    case Activation::relu:
      return may_overwrite ? x.relu_() : x.relu();
    case Activation::leaky_relu:
      return may_overwrite ? torch::leaky_relu_(x, 0.01) : torch::leaky_relu(x, 0.01);
    case Activation::silu:
      break;
  }
  return may_overwrite ? torch::silu_(x) : torch::silu(x);
}

}  // namespace

torch::Tensor local_deviation(const torch::Tensor& map) {
  const auto mean = [](const torch::Tensor& t) {
    return torch::avg_pool3d(t, kDeviationWindow, 1, kDeviationWindow / 2, false, false);
  };
  return (mean(map.square()) - mean(map).square()).clamp_min(0).sqrt();
}

/// The convolutions of one level on one side: (convolution, norm, activation) each.
class UNet3dImpl::Level : public nn::Module {
 public:
  Level(const UNetConfig& config, int in, int out) : config_(config) {
    const bool normed = config.norm != Norm::none;
    for (int i = 0; i < config.convs_per_level; ++i) {
      const std::string n = std::to_string(i);
      convs_.push_back(register_module("conv" + n, convolution(i == 0 ? in : out, out, 3, 1, !normed)));
      if (normed) {
        scale_.push_back(register_parameter("scale" + n, torch::ones({out})));
        shift_.push_back(register_parameter("shift" + n, torch::zeros({out})));
      }
    }
  }

  torch::Tensor forward(torch::Tensor x) {
    torch::Tensor first;
    for (std::size_t i = 0; i < convs_.size(); ++i) {
      x = convs_[i]->forward(x);
      // group_norm with one channel a group is instance normalisation, with float32 sums for bf16 too.
      if (config_.norm != Norm::none)
        x = torch::group_norm(x, config_.norm == Norm::instance ? x.size(1) : x.size(1) / 8, scale_[i], shift_[i],
                              1e-5);
      x = activate(x, config_.activation, !torch::GradMode::is_enabled());
      if (config_.residual_blocks && convs_.size() > 1) {
        if (i == 0) first = x;
        if (i + 1 == convs_.size()) x = x + first;
      }
    }
    return x;
  }

 private:
  UNetConfig config_;
  std::vector<nn::Conv3d> convs_;
  std::vector<torch::Tensor> scale_, shift_;
};

UNet3dImpl::UNet3dImpl(const UNetConfig& config) : config_(config) {
  config_.check();
  const auto level = [&](int in, int l) { return std::make_shared<Level>(config_, in, config_.channels(l)); };
  for (int l = 0; l < config_.levels; ++l) {
    const std::string n = std::to_string(l);
    encoder_.push_back(
        register_module("encoder" + n, level(l == 0 ? config_.first_channels() : config_.channels(l - 1), l)));
    if (l + 1 == config_.levels) break;
    const int low = config_.channels(l), high = config_.channels(l + 1);
    if (config_.down == Down::strided)
      down_.push_back(register_module("down" + n, convolution(low, low, 2, 2, true).ptr()));
    if (config_.up == Up::transposed)
      up_.push_back(
          register_module("up" + n, nn::ConvTranspose3d(nn::ConvTranspose3dOptions(high, low, 2).stride(2)).ptr()));
    else
      up_.push_back(register_module("up" + n, convolution(high, low, 1, 1, true).ptr()));
    decoder_.push_back(register_module("decoder" + n, level(2 * low, l)));
  }
  last_weight_ =
      register_parameter("last_weight", torch::zeros({config_.out_channels(), config_.channels(0), 1, 1, 1}));
  last_bias_ = register_parameter("last_bias", torch::zeros({config_.out_channels()}));
  torch::NoGradGuard no_grad;
  for (auto& parameter : named_parameters())
    if (parameter.key().ends_with("weight") && parameter.key() != "last_weight")
      nn::init::kaiming_normal_(parameter.value(), 0.0, torch::kFanIn, torch::kReLU);
}

torch::Tensor UNet3dImpl::correction(const torch::Tensor& input) {
  const int multiple = config_.multiple();
  bool fits = input.dim() == 5 && input.size(1) == config_.in_channels;
  for (int d = 2; fits && d < 5; ++d) fits = input.size(d) >= multiple && input.size(d) % multiple == 0;
  if (fits && config_.norm == Norm::instance &&
      input.size(2) * input.size(3) * input.size(4) == static_cast<std::int64_t>(multiple) * multiple * multiple)
    fits = config_.levels == 1;
  if (!fits) {
    std::ostringstream found;
    found << input.sizes();
    const std::string m = std::to_string(multiple);
    throw UsageError(Problem{"network input", "shape [batch, channels, z, y, x]", found.str(),
                             std::to_string(config_.in_channels) + " channel(s), edges in multiples of " + m +
                                 (config_.norm == Norm::instance ? ", more than one voxel at the lowest level" : ""),
                             "pad the block"});
  }
  torch::Tensor x = input;
  // Before the conversion: the difference of two squares needs the input's precision.
  if (config_.deviation) x = torch::cat({x, local_deviation(x.narrow(1, 0, 1))}, 1);
  x = x.to(last_weight_.scalar_type());
  std::vector<torch::Tensor> skips;
  for (int l = 0; l < config_.levels; ++l) {
    const auto i = static_cast<std::size_t>(l);
    if (l > 0)
      x = config_.down == Down::strided ? down_[i - 1]->as<nn::Conv3d>()->forward(skips.back())
                                        : torch::max_pool3d(skips.back(), 2);
    x = encoder_[i]->forward(std::move(x));
    if (l + 1 < config_.levels) skips.push_back(x);
  }
  for (int l = config_.levels - 2; l >= 0; --l) {
    const auto i = static_cast<std::size_t>(l);
    if (config_.up == Up::transposed) {
      x = up_[i]->as<nn::ConvTranspose3d>()->forward(x);
    } else {
      // Channels are reduced before the interpolation: eight times fewer voxels, the same result.
      x = up_[i]->as<nn::Conv3d>()->forward(x);
      x = torch::upsample_trilinear3d(x, skips.back().sizes().slice(2), false);
    }
    x = torch::cat({skips.back().to(x.scalar_type()), x}, 1);
    skips.pop_back();
    x = decoder_[i]->forward(std::move(x));
  }
  return torch::conv3d(x, last_weight_, last_bias_);
}

torch::Tensor UNet3dImpl::forward(const torch::Tensor& input) {
  const torch::Tensor change = correction(input).to(input.scalar_type());  // checks the shape first
  const torch::Tensor sum = input.narrow(1, 0, 1) + change.narrow(1, 0, 1);
  return config_.mask_head ? sum * (2 * torch::sigmoid(change.narrow(1, 1, 1))) : sum;
}

}  // namespace cryored
