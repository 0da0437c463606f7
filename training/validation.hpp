#pragma once
// What training of the denoiser minimises and what its validation measures. Private to training/: brings in torch.

#include <torch/types.h>

#include <map>
#include <vector>

#include "models/unet.hpp"
#include "training/dataset.hpp"
#include "training/trainer.hpp"

namespace cryored {

/// Over the validation pairs, shells from 15 A to the cut.
struct Validation {
  double fsc_in = 0, fsc_out = 0;  ///< mean FSC to the truth of the input and of the output
  double worst_shell = 0;          ///< most negative change of any shell, averaged over pairs first; at most 0
  double loss = 0;

  /// What the best weights are chosen by, larger is better: mean gain of the FSC, less what the
  /// worst shell loses.
  double objective() const { return fsc_out - fsc_in + worst_shell; }
};

/// What the target keeps of the truth in shells 0 .. box/2, by the half-map FSC; an FSC below 0 counts as 0.
std::vector<float> target_filter(DenoiseTarget target, const std::vector<float>& half_fsc);

/// An example as a network of `channels` inputs takes it: maps [channels, z, y, x] and [1, z, y, x], the cut in shells
/// as a scalar, the target's filter [shells]. The second channel is the map times sqrt(2 FSC / (1 + FSC)) of the
/// half-maps.
std::vector<torch::Tensor> tensors_of(const Example& example, int channels,
                                      DenoiseTarget target = DenoiseTarget::sharp);

/// Squared error relative to the (sharp) truth's power, half over the whole map and half as the mean
/// over shells 1 .. cut - 1. The first alone would train little but the strong low-resolution
/// shells; the second is what FSC to truth measures (1 - FSC^2 for the best scale). Either alone by `kind`.
class ShellLoss {
 public:
  ShellLoss(std::int64_t box, torch::Device device, DenoiseLoss kind = DenoiseLoss::both);

  /// Mean over the batch; a scalar. `filter` [batch, shells]: the error is that against the truth times this.
  torch::Tensor operator()(const torch::Tensor& output, const torch::Tensor& truth, const torch::Tensor& cut,
                           const torch::Tensor& filter) const;

 private:
  /// Of [batch, z, y, x/2+1] coefficients: sums of squares over shells.
  torch::Tensor shell_sums(const torch::Tensor& transforms) const;

  std::int64_t shells_;
  DenoiseLoss kind_;
  torch::Tensor index_, number_;
};

/// One ShellLoss for each box, made when first needed.
class ShellLosses {
 public:
  explicit ShellLosses(torch::Device device, DenoiseLoss kind = DenoiseLoss::both) : device_(device), kind_(kind) {}
  const ShellLoss& of(std::int64_t box);

 private:
  torch::Device device_;
  DenoiseLoss kind_;
  std::map<std::int64_t, ShellLoss> losses_;
};

/// The network, in float32, on every example, against the sharp truth whatever it was trained to give. Shells of
/// different boxes are joined by resolution.
Validation validate(UNet3dImpl& network, const std::vector<Example>& examples, ShellLosses& losses, double voxel_size,
                    torch::Device device);

}  // namespace cryored
