#pragma once
// Gradients of all ranks made one. Private to training/: brings in torch.

#include <torch/types.h>

#include <vector>

#include "training/device_sum.hpp"
#include "training/ranks.hpp"

namespace cryored {

/// What the ranks tell each other at every step, beside the gradients.
struct StepFigures {
  double loss = 0;  ///< this rank's part of the mean loss
  bool stop = false;
};

/// Adds up the gradients of the parameters and the figures over all ranks; `stop` if any rank wants to. Alone: nothing.
/// Through `on_device` where there is one, else through host memory.
void sum_over_ranks(const std::vector<torch::Tensor>& parameters, StepFigures& figures, Ranks& ranks,
                    DeviceSum* on_device = nullptr);

/// Makes tensors those of rank 0.
void broadcast_tensors(const std::vector<torch::Tensor>& tensors, Ranks& ranks);

}  // namespace cryored
