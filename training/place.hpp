#pragma once
// Where a rank trains: its device, and its share of the machine's processors.

#include <torch/types.h>

#include <string>

#include "training/ranks.hpp"
#include "training/trainer.hpp"

namespace cryored {

struct Place {
  torch::Device device = torch::kCPU;
  std::string hardware;
  int threads = 1;
  bool own_gpu = false;  ///< no other rank's
};

/// Takes device and threads as options and ranks say: ranks of one machine share its processors and take its GPUs in
/// turn. Sets the threads of LibTorch and of the Fourier transforms. Throws as choose_device() and prepare_device() do.
Place take_place(const TrainOptions& options, const Ranks& ranks);

}  // namespace cryored
