#pragma once
// The task "pinn": simulated images and their phase, the phase-retrieval network, mean square error of the phase.
// Private to training/: brings in torch.

#include <memory>

#include "training/task.hpp"

namespace cryored {

/// Reads the structures of options.pinn. Throws InputError when there are none to train on or none held out.
std::unique_ptr<TrainingTask> make_pinn_task(const TrainOptions& options, torch::Device device, int ranks);

}  // namespace cryored
