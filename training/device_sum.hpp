#pragma once
// Sums over ranks that never leave the GPUs. Private to training/: brings in torch.

#include <torch/types.h>

#include "training/ranks.hpp"

namespace cryored {

class DeviceSum {
 public:
  virtual ~DeviceSum() = default;
  /// Element by element over all ranks, in place; a contiguous float32 tensor on this rank's GPU.
  virtual void sum(torch::Tensor& values) = 0;
};

}  // namespace cryored
