#pragma once
// Losses of the task "pinn", and the FRC that judges it. Private to training/: brings in torch.

#include <torch/types.h>

#include "training/trainer.hpp"

namespace cryored {

/// Fourier ring correlation of images [B, n, n] under a disc (radius 0.45 n, its last 0.05 n a raised cosine), the mean
/// under it removed: [B, n/2], rings 1 to n/2 as in core/fourier/shells.hpp. Differentiable.
class RingCorrelation {
 public:
  /// n even.
  RingCorrelation(std::int64_t n, torch::Device device);
  torch::Tensor curve(const torch::Tensor& phase, const torch::Tensor& truth) const;
  /// Mean over rings and images: the area under the FRC.
  torch::Tensor area(const torch::Tensor& phase, const torch::Tensor& truth) const {
    return curve(phase, truth).mean();
  }
  /// Mean over rings of the error's power over the truth's: the mean square error of phases whose rings all count
  /// alike. [B].
  torch::Tensor whitened_error(const torch::Tensor& phase, const torch::Tensor& truth) const;

 private:
  torch::Tensor transform(const torch::Tensor& images) const;
  torch::Tensor sums(const torch::Tensor& power) const;
  torch::Tensor disc_, ring_;
  std::int64_t rings_;
};

/// Mean square error over the variance of the truth, so that weak and strong particles count alike; mean over the
/// batch.
torch::Tensor relative_error(const torch::Tensor& phase, const torch::Tensor& truth);

/// The loss that is named, a scalar. `repeat`: so many images of the batch in a row show one view; with more than one
/// the FRC of their mean counts as much as theirs.
torch::Tensor phase_loss(PhaseLoss kind, const RingCorrelation& rings, const torch::Tensor& phase,
                         const torch::Tensor& truth, std::int64_t repeat);

}  // namespace cryored
