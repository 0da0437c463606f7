#pragma once
// Phase retrieval by a physics-informed network (Yang et al. 2025, section 2.2). This header brings in torch.

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <vector>

#include "models/imaging/pinn_config.hpp"

namespace cryored {

/// A light 2D U-Net, [B, in, y, x] -> [B, 1, y, x], of any size (edges are filled up with zeros). No normalisation
/// layers: the size of the phase is what it has to find. The last convolution starts at zero.
class UNet2dImpl : public torch::nn::Module {
 public:
  UNet2dImpl(int in, int levels, int width, int convs_per_level);
  torch::Tensor forward(const torch::Tensor& input);

 private:
  std::vector<std::vector<std::shared_ptr<torch::nn::Module>>> encoder_, decoder_;
  std::vector<std::shared_ptr<torch::nn::Module>> up_;
  torch::Tensor last_weight_, last_bias_;
  int levels_;
};
TORCH_MODULE(UNet2d);

/// f = [U-Net o physics step]^K, begun with psi = 1. A new network's U-Nets add nothing (config.residual).
class PinnImpl : public torch::nn::Module {
 public:
  /// Throws UsageError when the config is out of range.
  explicit PinnImpl(const PinnConfig& config = {});

  /// g [B, n, n], 1 where nothing scatters; transfer [B, P, P] with P >= n (transfer_function() on a grid that avoids
  /// aliasing, padded_box()); absorption [B, 1, 1]. Returns the phase after the last stage, [B, n, n], radians. Outside
  /// the box the phase is taken as 0 and nothing as measured. Finite for every finite g, also 0 and below (intensities
  /// are brought into 1e-3 .. 1e4 first). Throws InputError naming the image when g is not finite, UsageError for
  /// shapes that do not fit.
  torch::Tensor forward(const torch::Tensor& g, const torch::Tensor& transfer, const torch::Tensor& absorption);

  /// The phase after each stage.
  std::vector<torch::Tensor> stages(const torch::Tensor& g, const torch::Tensor& transfer,
                                    const torch::Tensor& absorption);

  const PinnConfig& config() const { return config_; }

 private:
  PinnConfig config_;
  std::vector<UNet2d> nets_;
};
TORCH_MODULE(Pinn);

/// Number of trainable parameters.
std::int64_t pinn_parameters(const PinnConfig& config);

/// Floating-point operations of the convolutions of one image of n x n pixels, two for each multiply-add.
double pinn_flop(const PinnConfig& config, std::int64_t n);

}  // namespace cryored
