#pragma once
// The denoising network. This header brings in torch (slow to compile): only the
// .cpp files of models/ and training/ include it.

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <vector>

#include "models/unet_config.hpp"

namespace cryored {

/// Residual 3D U-Net: output = channel 0 of the input + correction(input); with config.mask_head times a factor from 0
/// to 2 for each voxel. With config.deviation the network itself makes the further channel from channel 0, in the
/// input's dtype. Arrays are [batch, channel, z, y, x], x fastest, as in Map; edges are multiples of config.multiple();
/// a block of edge multiple() has one voxel at the lowest level, which norm "instance" cannot use: it needs twice that.
/// The last convolution starts at zero, so a new network is the identity.
class UNet3dImpl : public torch::nn::Module {
 public:
  /// Throws UsageError when the config is out of range.
  explicit UNet3dImpl(const UNetConfig& config = {});

  /// [N, in_channels, z, y, x] -> [N, 1, z, y, x], in the input's dtype. The
  /// convolutions run in the dtype of the parameters (or autocast's); the residual
  /// sum is made in the input's. Throws UsageError when the shape does not fit.
  torch::Tensor forward(const torch::Tensor& input);

  /// The last convolution's output, [N, config.out_channels(), z, y, x]: channel 0 is what forward() adds to channel 0
  /// of the input, channel 1 the mask's.
  torch::Tensor correction(const torch::Tensor& input);

  const UNetConfig& config() const { return config_; }

 private:
  class Level;
  UNetConfig config_;
  std::vector<std::shared_ptr<Level>> encoder_, decoder_;  // decoder_[l] belongs to level l
  std::vector<std::shared_ptr<torch::nn::Module>> down_, up_;
  torch::Tensor last_weight_, last_bias_;
};
TORCH_MODULE(UNet3d);

/// Standard deviation of [N, 1, z, y, x] over the kDeviationWindow^3 neighbourhood of each voxel, inside the block.
torch::Tensor local_deviation(const torch::Tensor& map);

}  // namespace cryored
