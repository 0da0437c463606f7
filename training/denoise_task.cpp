#include "training/denoise_task.hpp"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "models/unet_weights.hpp"
#include "simulation/structures.hpp"
#include "training/validation.hpp"

namespace cryored {
namespace {

using torch::Tensor;

constexpr Normalisation kRule = Normalisation::contrast;

std::string to_string(DenoiseTarget target) {
  return target == DenoiseTarget::sharp ? "the sharp truth, cut at the same shell"
         : target == DenoiseTarget::fsc
             ? "the truth times the half-map FSC, cut at the same shell"
             : "the truth times sqrt(2 FSC / (1 + FSC)) of the half-maps, cut at the same shell";
}

/// As --target has it.
const char* word(DenoiseTarget target) {
  return target == DenoiseTarget::sharp ? "sharp" : target == DenoiseTarget::fsc ? "fsc" : "cref";
}

const char* to_string(DenoiseLoss loss) {
  return loss == DenoiseLoss::shells ? "shells" : loss == DenoiseLoss::map ? "map" : "both";
}

UNet3dImpl& unet(torch::nn::Module& model) { return dynamic_cast<UNet3dImpl&>(model); }

/// "denoiser-2.5A".
std::string weights_name(double voxel) {
  char text[32];
  std::snprintf(text, sizeof text, "denoiser-%.4gA", voxel);
  return text;
}

class HalfMapPairs : public ExampleSource {
 public:
  HalfMapPairs(const TrainOptions::Denoise& o)
      : options(o),
        training(o.pairs, PairDataset::Part::training, kRule, o.voxel),
        held_out(o.held_out.empty() ? o.pairs : o.held_out, PairDataset::Part::validation, kRule, o.voxel) {
    if (std::abs(held_out.voxel() - training.voxel()) > 1e-3 * training.voxel())
      throw InputError(Problem{o.held_out.empty() ? o.pairs : o.held_out, "voxel size",
                               std::to_string(held_out.voxel()) + " A in validation shards",
                               std::to_string(training.voxel()) + " A, as in the training shards",
                               "one network serves one voxel size: train a network for each"});
    SpellingCheck spelling;  // of both folders together
    for (const PairDataset* part : {&training, &held_out})
      for (const std::string& id : part->structures()) spelling.add(id);
    for (const PairDataset* part : {&training, &held_out})
      for (const std::size_t box : part->boxes())
        if (box % static_cast<std::size_t>(o.network.multiple()) != 0)
          throw InputError(Problem{o.pairs, "box of shards", std::to_string(box),
                                   "multiples of " + std::to_string(o.network.multiple()) + " for " +
                                       std::to_string(o.network.levels) + " levels",
                                   "give fewer --levels, or make pairs of another --box"});
  }

  Tensors draw(const Draw& d) const override {
    return tensors_of(
        training.augmented(d.seed, static_cast<std::uint64_t>(d.step),
                           static_cast<std::uint64_t>(d.step * d.batch + d.index), {options.turn, options.assemblies}),
        options.network.in_channels, options.target);
  }

  nlohmann::json description() const override {
    return {{"pairs", training.pairs()},
            {"structures", training.structures().size()},
            {"validation_structures", held_out.structures()},
            {"voxel_size_A", training.voxel()},
            {"boxes", training.boxes()},
            {"loss", to_string(options.loss)},
            {"turned", options.turn},
            {"assemblies", options.assemblies},
            {"task", "unregularised half-map to " + to_string(options.target)}};
  }

  /// "40 pairs in 10 shards of 2.500000 A, digest ...".
  static std::string identity(const PairDataset& part) {
    return data_identity(std::to_string(part.pairs()) + " pairs in " + std::to_string(part.shards()) + " shards of " +
                             std::to_string(part.voxel()) + " A",
                         part.contents());
  }

  TrainOptions::Denoise options;
  PairDataset training, held_out;
};

class DenoiseTask : public TrainingTask {
 public:
  DenoiseTask(const TrainOptions& options, torch::Device device)
      : config_(options.denoise.network),
        source_(options.denoise),
        losses_(device, options.denoise.loss),
        both_(device),
        device_(device) {
    // Spread over structures, the same ones for the same shards.
    const auto count = static_cast<std::size_t>(options.validation_examples);
    for (std::size_t i = 0; i < count; ++i)
      validation_.push_back(source_.held_out.example(i * source_.held_out.pairs() / count));
  }

  const ExampleSource& source() const override { return source_; }

  std::shared_ptr<torch::nn::Module> new_model() const override { return std::make_shared<UNet3dImpl>(config_); }

  std::string read_weights(const std::string& path, torch::nn::Module& model) const override {
    LoadedWeights start = load_weights(path);
    const auto refuse = [&](const std::string& field, const std::string& found, const std::string& allowed,
                            const std::string& remedy) {
      throw InputError(Problem{path, field, found, allowed, remedy});
    };
    // Another voxel size is a start like any other: what is shipped for 1.5 A began as the weights for 2.5 A. So is a
    // network without a mask head: one that begins multiplies by 1 everywhere.
    UNetConfig wanted = config_;
    wanted.mask_head = config_.mask_head && start.info.architecture.mask_head;
    if (!(start.info.architecture == wanted))
      refuse("architecture", start.info.architecture.name(), config_.name() + ", the network of this run",
             "give the file's own --levels, --width and the like, or other weights");
    if (start.info.normalisation != kRule)
      refuse("normalisation", to_string(start.info.normalisation), to_string(kRule),
             "give weights that were trained on the same grey scale");
    torch::NoGradGuard no_grad;
    auto from = start.network->parameters(), to = model.parameters();
    for (std::size_t i = 0; i < from.size(); ++i) {
      // Only the last convolution differs, by its second output.
      if (from[i].sizes() != to[i].sizes()) to[i].zero_();
      to[i].narrow(0, 0, from[i].size(0)).copy_(from[i]);
    }
    return start.info.sha256;
  }

  void write_weights(const std::string& path, torch::nn::Module& model, const nlohmann::json& training,
                     const nlohmann::json& metrics) const override {
    WeightsInfo info;
    info.name = weights_name(source_.training.voxel());
    info.licence = "CC0-1.0";
    info.date = today();
    info.voxel_size = source_.training.voxel();
    info.block = static_cast<int>(source_.training.boxes().back());
    info.normalisation = kRule;
    info.training = training;
    info.metrics = metrics;
    info.metrics["validation_pairs"] = validation_.size();
    info.metrics["shells"] = "15 A to the cut";
    auto network = std::dynamic_pointer_cast<UNet3dImpl>(model.shared_from_this());
    save_weights(path, UNet3d(network), info, StoredType::float16);
  }

  Tensor loss(torch::nn::Module& model, const Tensors& batch, bool bf16) override {
    Tensor output;
    {
      const Autocast autocast(device_.type(), bf16);
      output = unet(model).forward(batch[0]);
    }
    return losses_.of(batch[0].size(-1))(output.to(torch::kFloat), batch[1], batch[2], batch[3]);
  }

  Judgement validate(torch::nn::Module& model, torch::Device device) override {
    const Validation v = cryored::validate(unet(model), validation_, both_, source_.training.voxel(), device);
    return {v.objective(), v.loss, {{"fsc_in", v.fsc_in}, {"fsc_out", v.fsc_out}, {"worst_shell", v.worst_shell}}};
  }

  TaskDescription description() const override {
    TaskDescription d;
    d.weights_file = "denoiser.crw";
    d.name = weights_name(source_.training.voxel());
    d.purpose = "unregularised half-map of a refinement to " + to_string(source_.options.target);
    d.network = "residual 3D U-Net " + config_.name() + ", " + std::to_string(unet_parameters(config_)) + " parameters";
    d.licence = "CC0-1.0";
    d.curves = {
        {"FSC to the truth, mean from 15 A to the cut", "FSC", {{"fsc_in", "input"}, {"fsc_out", "after one pass"}}},
        {"Most that a shell loses, mean over pairs", "change of FSC", {{"worst_shell", "worst shell"}}}};
    d.limits = {
        "Validated on held-out structures of the same kind of pairs; what such a network does inside a "
        "refinement is another question (docs/results.md).",
        "Nothing beyond the Nyquist limit of its voxel size is learned.",
        "A denoiser can invent: compare half-maps without it, and see lambda in the record."};
    return d;
  }

  nlohmann::json decisive_options() const override {
    const auto& o = source_.options;
    return {{"--pairs", HalfMapPairs::identity(source_.training)},
            {"--held-out", HalfMapPairs::identity(source_.held_out)},
            {"--target", word(o.target)},
            {"--loss", to_string(o.loss)},
            {"--turn", o.turn},
            {"--assemblies", o.assemblies}};
  }

 private:
  UNetConfig config_;
  HalfMapPairs source_;
  ShellLosses losses_, both_;  ///< of training; of validation, the same for all networks
  torch::Device device_;
  std::vector<Example> validation_;
};

}  // namespace

std::unique_ptr<TrainingTask> make_denoise_task(const TrainOptions& options, torch::Device device) {
  return std::make_unique<DenoiseTask>(options, device);
}

}  // namespace cryored
