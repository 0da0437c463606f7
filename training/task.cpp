#include "training/task.hpp"

#include <ATen/autocast_mode.h>
#include <torch/types.h>

#include <ctime>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "training/denoise_task.hpp"
#include "training/pinn_task.hpp"

namespace cryored {

std::unique_ptr<TrainingTask> make_task(const TrainOptions& options, torch::Device device, int ranks) {
  if (options.task == "denoise") return make_denoise_task(options, device);
  if (options.task == "pinn") return make_pinn_task(options, device, ranks);
  throw UsageError(Problem{"--task", "", options.task, "denoise, pinn", "see cryored train --help"});
}

Autocast::Autocast(c10::DeviceType device, bool on) : device_(device), on_(on) {
  if (!on_) return;
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
}

Autocast::~Autocast() {
  if (!on_) return;
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, false);
}

Tensors stack_examples(const std::vector<Tensors>& examples) {
  Tensors batch(examples.at(0).size());
  for (std::size_t t = 0; t < batch.size(); ++t) {
    std::vector<torch::Tensor> parts;
    parts.reserve(examples.size());
    for (const auto& example : examples) parts.push_back(example.at(t));
    batch[t] = torch::stack(parts);
  }
  return batch;
}

std::string data_identity(const std::string& counts, const std::string& contents) {
  return counts + ", digest " + sha256_bytes(contents.data(), contents.size()).substr(0, 16);
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%F", std::gmtime(&now));
  return text;
}

}  // namespace cryored
