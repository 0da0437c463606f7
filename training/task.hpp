#pragma once
// What a training is of. The trainer knows data, model, loss and validation through these interfaces only; a new kind
// of training implements them and gets a line in make_task(). Private to training/: brings in torch.

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "training/run_report.hpp"
#include "training/trainer.hpp"

namespace cryored {

/// The tensors of one example, or of a batch with a new first dimension each; number and meaning are the task's own.
using Tensors = std::vector<torch::Tensor>;

/// Example `index` of the `batch` of step `step`.
struct Draw {
  std::uint64_t seed = 0;
  std::int64_t step = 0, index = 0, batch = 1;
};

/// The data.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  /// Depends on the draw alone, so that neither a resumption nor the number of ranks changes what is trained on.
  /// All examples of one step have the same shapes. On the CPU; called from a thread of its own.
  virtual Tensors draw(const Draw& draw) const = 0;
  /// For the weights' metadata and the model card.
  virtual nlohmann::json description() const = 0;
};

/// "3 structures, digest 0123456789abcdef" of the names and contents of data: equal for equal data wherever they lie.
std::string data_identity(const std::string& counts, const std::string& contents);

/// What a validation finds.
struct Judgement {
  double objective = 0;    ///< what the best weights are chosen by; larger is better
  double loss = 0;         ///< mean over the validation examples
  nlohmann::json figures;  ///< object of numbers, for the log, the curves and the weights' metadata
};

class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  virtual const ExampleSource& source() const = 0;

  /// A network with random weights from torch's generator; on the CPU, float32.
  virtual std::shared_ptr<torch::nn::Module> new_model() const = 0;
  /// Copies the weights of a file into a model of this task and returns the file's SHA-256.
  /// Throws InputError when it is damaged or does not fit the run.
  virtual std::string read_weights(const std::string& path, torch::nn::Module& model) const = 0;
  /// Writes atomically; the objects go into the metadata.
  virtual void write_weights(const std::string& path, torch::nn::Module& model, const nlohmann::json& training,
                             const nlohmann::json& metrics) const = 0;

  /// Mean over the batch, a scalar with gradient. `bf16`: the network may compute in bf16, the loss does not.
  virtual torch::Tensor loss(torch::nn::Module& model, const Tensors& batch, bool bf16) = 0;

  /// In float32, on examples that are never trained on; always the same ones.
  virtual Judgement validate(torch::nn::Module& model, torch::Device device) = 0;

  /// Name of the weights, curves to draw, texts of the model card.
  virtual TaskDescription description() const = 0;

  /// The task's options that decide the result, beside the network and those of the trainer: name ("--target") to
  /// value. A run that goes on with another one is refused; data are named by data_identity(), not by their folder.
  virtual nlohmann::json decisive_options() const = 0;
};

/// The task that the options name, on a device that is ready, as one of `ranks`. Throws UsageError for an unknown one,
/// and for a batch that the task cannot share out among ranks and parts.
std::unique_ptr<TrainingTask> make_task(const TrainOptions& options, torch::Device device, int ranks);

/// Mixed precision while it lives: convolutions and matrix products in bf16.
class Autocast {
 public:
  Autocast(c10::DeviceType device, bool on);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::DeviceType device_;
  bool on_;
};

/// Stacks examples along a new first dimension.
Tensors stack_examples(const std::vector<Tensors>& examples);

/// "2026-01-31", UTC: for the weights' metadata.
std::string today();

}  // namespace cryored
