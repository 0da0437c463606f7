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
  std::string gpu;  ///< UUID of the card; empty: the CPU
};

/// Takes device and threads as options and ranks say: ranks of one machine share its processors and take its GPUs in
/// turn. Sets the threads of LibTorch and of the Fourier transforms. Throws as choose_device() and prepare_device() do.
Place take_place(const TrainOptions& options, const Ranks& ranks);

/// Every rank calls it, and gets the same answer: no two of them have the same card. `gpu` as in Place. By the cards,
/// since a launcher may show each rank its own one only, or all ranks the same.
bool each_has_a_gpu_of_its_own(const std::string& gpu, Ranks& ranks);

}  // namespace cryored
