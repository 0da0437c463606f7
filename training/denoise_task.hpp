#pragma once
// The task "denoise": half-maps and their truth, the 3D U-Net, a loss per shell. Private to training/: brings in torch.

#include <memory>

#include "training/task.hpp"

namespace cryored {

/// Reads the shards of options.denoise. Throws InputError when there are none, when their voxel sizes differ, or when
/// one does not state its voxel size and options.denoise.voxel is 0.
std::unique_ptr<TrainingTask> make_denoise_task(const TrainOptions& options, torch::Device device);

}  // namespace cryored
