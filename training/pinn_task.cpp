#include "training/pinn_task.hpp"

#include <torch/types.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <mutex>
#include <optional>
#include <set>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "models/imaging/pinn_weights.hpp"
#include "models/imaging/wave.hpp"
#include "simulation/structures.hpp"
#include "training/phase_loss.hpp"
#include "training/phase_pairs.hpp"

namespace cryored {
namespace {

using torch::Tensor;

PinnImpl& pinn(torch::nn::Module& model) { return dynamic_cast<PinnImpl&>(model); }

Tensor tensor_of(const Map& map) {
  const auto n = static_cast<std::int64_t>(map.nx);
  return torch::from_blob(const_cast<float*>(map.data.data()), {n, n}).clone();
}

/// An example as tensors: g and phase [n, n], transfer function [P, P], absorption [1, 1].
Tensors tensors_of(const PhaseImageOptions& o, const Map& intensity, const Map& phase) {
  const std::vector<CtfParameters> ctfs{o.ctf};
  return {tensor_of(intensity), tensor_of(phase),
          transfer_function(ctfs, static_cast<std::int64_t>(o.padded), o.pixel_size).squeeze(0),
          absorption(ctfs).squeeze(0)};
}

/// Files named by `path`: itself, or the structures of a folder.
std::vector<std::string> files_of(const std::string& path) {
  if (std::filesystem::is_regular_file(path)) return {path};
  return structure_files(path);
}

struct Split {
  std::vector<std::string> training, held_out;
};

/// One structure in ten of a folder, by its name, never trains. Nor does one that --held-out has, under that name in
/// upper or lower case or as the same file under another one.
Split split_of(const TrainOptions::Pinn& o) {
  Split split;
  std::set<std::string> names, contents;
  if (!o.held_out.empty()) split.held_out = files_of(o.held_out);
  for (const auto& file : split.held_out) {
    names.insert(upper_case(structure_id(file)));
    contents.insert(sha256_file(file));
  }
  const bool one_file = std::filesystem::is_regular_file(o.structures);
  SpellingCheck spelling;
  for (const auto& file : files_of(o.structures)) {
    spelling.add(file);
    const std::string id = structure_id(file);
    const bool by_name = !one_file && is_validation(id);
    if (!by_name && !names.contains(upper_case(id)) && !contents.contains(sha256_file(file)))
      split.training.push_back(file);
    if (by_name && o.held_out.empty()) split.held_out.push_back(file);
  }
  return split;
}

std::vector<Structure> read_all(const std::vector<std::string>& files, std::size_t most) {
  std::vector<Structure> structures;
  // Evenly over the sorted list, so that a limit still takes all kinds.
  const std::size_t count = std::min(most, files.size());
  for (std::size_t i = 0; i < count; ++i) structures.push_back(read_structure(files[i * files.size() / count]));
  return structures;
}

/// As --loss has it.
const char* loss_word(PhaseLoss loss) {
  return loss == PhaseLoss::mse ? "mse" : loss == PhaseLoss::whitened ? "whitened" : "frc";
}

/// "3 structures, digest ...", of their names and files.
std::string identity(const std::vector<Structure>& structures) {
  std::string contents;
  for (const auto& s : structures) contents += structure_id(s.path) + "\t" + sha256_file(s.path) + "\n";
  return data_identity(std::to_string(structures.size()) + " structures", contents);
}

std::vector<std::string> names(const std::vector<Structure>& structures) {
  std::vector<std::string> all;
  all.reserve(structures.size());
  for (const auto& s : structures) all.push_back(structure_id(s.path));
  return all;
}

class PhaseImages : public ExampleSource {
 public:
  explicit PhaseImages(const TrainOptions::Pinn& o)
      : setting(PhaseSetting::named(o.setting)),
        repeat_(o.repeat),
        loss_(std::string(loss_word(o.loss)) + (o.every_stage ? ", every stage" : "")) {
    if (o.box > 0) setting.box = static_cast<std::size_t>(o.box);
    if (o.pairs >= 0) setting.pairs = o.pairs;
    if (o.held_out.empty() && std::filesystem::is_regular_file(o.structures))
      throw UsageError(Problem{"--held-out", "", "nothing", "structures to validate on",
                               "give a file or folder, since --structures is one file"});
    const auto most =
        o.most_structures > 0 ? static_cast<std::size_t>(o.most_structures) : std::numeric_limits<std::size_t>::max();
    const Split split = split_of(o);
    training = read_all(split.training, most);
    held_out = read_all(split.held_out, most);
    if (training.empty())
      throw InputError(Problem{o.structures, "training", "no structure", "at least one",
                               "one in ten, by its name, and those of --held-out are held out: give more files"});
    if (held_out.empty())
      throw InputError(Problem{o.structures, "validation", "no structure", "at least one",
                               "one in ten, by its name, is held out: give more files, or --held-out"});
  }

  Tensors draw(const Draw& d) const override {
    const auto number = static_cast<std::uint64_t>(d.step * d.batch + d.index);
    const auto repeat = static_cast<std::uint64_t>(repeat_);
    const std::lock_guard lock(mutex_);
    // Exposures of one view come one after the other, from one projection.
    if (!kept_ || kept_seed_ != d.seed || kept_view_ != number / repeat) {
      kept_ = example(setting, training, d.seed, static_cast<std::uint64_t>(d.step), number / repeat, repeat_);
      kept_seed_ = d.seed;
      kept_view_ = number / repeat;
    }
    return (*kept_)[number % repeat];
  }

  /// Exposures of one view.
  static std::vector<Tensors> example(const PhaseSetting& from, const std::vector<Structure>& structures,
                                      std::uint64_t seed, std::uint64_t group, std::uint64_t view, int repeat) {
    const PhaseDraw drawn = draw_phase_example(from, structures.size(), seed, group, view);
    const PhaseExposures made = simulate_phase_exposures(structures[drawn.structure], drawn.image, repeat, 0);
    std::vector<Tensors> all;
    for (const Map& g : made.intensities) all.push_back(tensors_of(drawn.image, g, made.phase));
    return all;
  }

  nlohmann::json description() const override {
    return {{"setting", to_json(setting)},
            {"structures", training.size()},
            {"structure_names", names(training)},
            {"validation_structures", names(held_out)},
            {"loss", loss_},
            {"exposures_of_a_view", repeat_},
            {"task", "intensity of one exposure to the phase of the exit wave"}};
  }

  PhaseSetting setting;
  std::vector<Structure> training, held_out;

 private:
  int repeat_;
  std::string loss_;
  mutable std::mutex mutex_;
  mutable std::optional<std::vector<Tensors>> kept_;
  mutable std::uint64_t kept_seed_ = 0, kept_view_ = 0;
};

class PinnTask : public TrainingTask {
 public:
  PinnTask(const TrainOptions& options, torch::Device device, int ranks)
      : options_(options.pinn),
        source_(options.pinn),
        device_(device),
        rings_(static_cast<std::int64_t>(source_.setting.box), device),
        judge_(static_cast<std::int64_t>(source_.setting.box), torch::kCPU) {
    options_.network.check();
    // The exposures of a view stay together: the loss is also of their mean.
    const int part = options.batch / (options.accumulate * ranks);
    if (part % options_.repeat != 0)
      throw UsageError(
          Problem{"--repeat", "", std::to_string(options_.repeat),
                  "a divisor of " + std::to_string(part) + ", which is --batch over --accumulate and ranks",
                  "give another --repeat or --batch, or start fewer ranks"});
    // Exposures that training never sees: other structures, another seed. Each is a group of its own.
    PhaseSetting endless = source_.setting;
    endless.pairs = 0;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(options.validation_examples); ++i)
      validation_.push_back(
          PhaseImages::example(endless, {source_.held_out[i % source_.held_out.size()]}, 0xa11d47e, i, i, 1)[0]);
  }

  const ExampleSource& source() const override { return source_; }
  std::shared_ptr<torch::nn::Module> new_model() const override { return std::make_shared<PinnImpl>(options_.network); }

  std::string read_weights(const std::string& path, torch::nn::Module& model) const override {
    LoadedPinn start = load_pinn(path);
    if (!(start.network->config() == options_.network))
      throw InputError(Problem{path, "architecture", start.network->config().name(),
                               options_.network.name() + ", the network of this run",
                               "give the file's own --stages, --levels, --width and --channels, or other weights"});
    torch::NoGradGuard no_grad;
    auto from = start.network->parameters(), to = model.parameters();
    for (std::size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
    return start.info.sha256;
  }

  void write_weights(const std::string& path, torch::nn::Module& model, const nlohmann::json& training,
                     const nlohmann::json& metrics) const override {
    WeightsInfo info;
    info.name = weights_name();
    info.licence = "CC0-1.0";
    info.date = today();
    info.voxel_size = (source_.setting.pixel_size.first + source_.setting.pixel_size.second) / 2;
    info.block = static_cast<int>(source_.setting.box);
    info.training = training;
    info.metrics = metrics;
    save_pinn(path, Pinn(std::dynamic_pointer_cast<PinnImpl>(model.shared_from_this())), info, StoredType::float16);
  }

  Tensor loss(torch::nn::Module& model, const Tensors& batch, bool bf16) override {
    std::vector<Tensor> phases;
    {
      const Autocast autocast(device_.type(), bf16);
      phases = pinn(model).stages(batch[0], batch[2], batch[3]);
    }
    const auto one = [&](const Tensor& phase) {
      return phase_loss(options_.loss, rings_, phase, batch[1], options_.repeat);
    };
    Tensor sum = one(phases.back());
    // Earlier stages may count, too: gradients reach them directly, a tenth of the last one's together.
    if (options_.every_stage && phases.size() > 1)
      for (std::size_t k = 0; k + 1 < phases.size(); ++k)
        sum = sum + one(phases[k]) * (0.1 / static_cast<double>(phases.size() - 1));
    return sum;
  }

  Judgement validate(torch::nn::Module& model, torch::Device device) override {
    torch::NoGradGuard no_grad;
    Judgement j;
    double area = 0, first = 0, linear = 0;
    for (const auto& example : validation_) {
      Tensors batch;
      for (const auto& t : example) batch.push_back(t.unsqueeze(0).to(device));
      const auto phases = pinn(model).stages(batch[0], batch[2], batch[3]);
      j.loss += relative_error(phases.back(), batch[1]).item<double>();
      const Tensor truth = example[1].unsqueeze(0);
      area += judge_.area(phases.back().cpu(), truth).item<double>();
      linear += judge_.area(wiener_phase(batch[0], batch[2], batch[3], 1).cpu(), truth).item<double>();
      first += judge_.area(physics_start(batch).cpu(), truth).item<double>();
    }
    const auto count = static_cast<double>(validation_.size());
    j.loss /= count;
    j.objective = area / count;
    j.figures = {{"frc_out", area / count}, {"frc_wiener", linear / count}, {"frc_physics", first / count}};
    return j;
  }

  TaskDescription description() const override {
    TaskDescription d;
    d.weights_file = "pinn.crw";
    d.name = weights_name();
    d.purpose = "one exposure of a particle to the phase of its exit wave";
    d.network = "stages of physics and 2D U-Net, " + options_.network.name() + ", " +
                std::to_string(pinn_parameters(options_.network)) + " parameters";
    d.licence = "CC0-1.0";
    d.curves = {{"Area under the FRC to the true phase, mean over shells to Nyquist",
                 "FRC",
                 {{"frc_physics", "first physics step"}, {"frc_wiener", "Wiener filter"}, {"frc_out", "network"}}}};
    d.limits = {
        "Simulated exposures only: projection approximation, one conformation, ice as a random field.",
        "It can invent: a network's phase is no measurement; use it for picking, classes and poses, and the raw "
        "images for reconstruction.",
        "Other doses, defoci and pixel sizes than those of the setting were not seen."};
    return d;
  }

  nlohmann::json decisive_options() const override {
    return {{"--structures", identity(source_.training)}, {"--held-out", identity(source_.held_out)},
            {"--setting", source_.setting.name},          {"--box", source_.setting.box},
            {"--exposures", source_.setting.pairs},       {"--repeat", options_.repeat},
            {"--loss", loss_word(options_.loss)},         {"--every-stage", options_.every_stage}};
  }

 private:
  std::string weights_name() const { return "phase-" + source_.setting.name; }

  /// What the first physics step makes of the measurement, without any network.
  static Tensor physics_start(const Tensors& batch) {
    const std::int64_t n = batch[0].size(1), padded = batch[2].size(1);
    const Tensor psi = exit_wave(torch::zeros({1, padded, padded}, batch[0].options()), batch[3]);
    const Tensor wave = physics_step(psi, batch[2], pad_images(amplitude_of(batch[0]), padded, 1),
                                     measured_window(n, padded, std::min<std::int64_t>(4, n / 8), batch[0].options()));
    return phase_of(crop_images(wave, n), batch[3]);
  }

  TrainOptions::Pinn options_;
  PhaseImages source_;
  torch::Device device_;
  RingCorrelation rings_, judge_;
  std::vector<Tensors> validation_;
};

}  // namespace

std::unique_ptr<TrainingTask> make_pinn_task(const TrainOptions& options, torch::Device device, int ranks) {
  return std::make_unique<PinnTask>(options, device, ranks);
}

}  // namespace cryored
