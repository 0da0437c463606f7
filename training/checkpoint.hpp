#pragma once
// The state of a training run on disk. Private to training/: brings in torch.

#include <torch/nn/module.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace cryored {

/// What a run is resumed from, beside the tensors.
struct RunState {
  std::int64_t step = 0;  ///< steps done
  std::string init;       ///< SHA-256 of the weights the run was started from; empty: random
  std::string network;    ///< as TaskDescription::network; empty in checkpoints of older programs
  double best = -1e300;   ///< best validation objective so far
  std::int64_t best_step = 0;
  std::int64_t stale = 0;    ///< validations since then
  double loss_sum = 0;       ///< over the steps since the last validation
  std::int64_t counted = 0;  ///< those steps
  /// Option that decides the result to its value, "--target" to "sharp"; empty in checkpoints of older programs.
  nlohmann::json options = nlohmann::json::object();
  nlohmann::json sessions = nlohmann::json::array();  ///< as RunReport::sessions
};

/// Writes atomically; throws SystemError.
void save_checkpoint(const std::string& path, torch::nn::Module& model, torch::nn::Module& average,
                     torch::optim::AdamW& optimiser, const RunState& state);

/// Onto `device`, where models and optimiser are, whichever device the checkpoint was written from.
/// Throws InputError when the file is no checkpoint of this network.
RunState load_checkpoint(const std::string& path, torch::Device device, torch::nn::Module& model,
                         torch::nn::Module& average, torch::optim::AdamW& optimiser);

}  // namespace cryored
