#pragma once
// What training minimises and what validation measures. Private to training/: brings in torch.

#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/unet.hpp"
#include "training/dataset.hpp"
#include "training/trainer.hpp"

namespace cryored {

/// Examples as the network takes them: maps [batch, 1, z, y, x], cut [batch] in shells.
struct Batch {
  torch::Tensor input, target, cut;
};
Batch stack(const std::vector<Example>& examples);

/// Squared error relative to the truth's power, half over the whole map and half as the mean
/// over shells 1 .. cut - 1. The first alone would train little but the strong low-resolution
/// shells; the second is what FSC to truth measures (1 - FSC^2 for the best scale).
class ShellLoss {
 public:
  ShellLoss(std::int64_t box, torch::Device device);

  /// Mean over the batch; a scalar.
  torch::Tensor operator()(const torch::Tensor& output, const torch::Tensor& target, const torch::Tensor& cut) const;

 private:
  torch::Tensor shell_sums(const torch::Tensor& maps) const;

  std::int64_t shells_;
  torch::Tensor index_, number_;
};

/// The network, in float32, on every example.
Validation validate(UNet3d& network, const std::vector<Example>& examples, const ShellLoss& loss, double voxel_size,
                    torch::Device device);

}  // namespace cryored
