#include "training/trainer.hpp"

#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>

#include "core/base/error.hpp"
#include "models/unet_weights.hpp"
#include "training/checkpoint.hpp"
#include "training/validation.hpp"

namespace cryored {
namespace fs = std::filesystem;
namespace {

using torch::Tensor;

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof(text), "%F", std::gmtime(&now));
  return text;
}

/// RAII: mixed precision on the CPU or GPU.
class Autocast {
 public:
  Autocast(c10::DeviceType device, bool on) : device_(device), on_(on) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(device_, true);
    at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  }
  ~Autocast() {
    if (!on_) return;
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, false);
  }

 private:
  c10::DeviceType device_;
  bool on_;
};

void copy_parameters(UNet3d& from, UNet3d& to) {
  torch::NoGradGuard no_grad;
  auto source = from->parameters(), target = to->parameters();
  for (std::size_t i = 0; i < source.size(); ++i) target[i].copy_(source[i]);
}

/// The weights a run starts from, if it serves this run.
LoadedWeights load_init(const TrainOptions& o, double voxel, Normalisation rule) {
  LoadedWeights start = load_weights(o.init);
  const auto refuse = [&](const std::string& field, const std::string& found, const std::string& allowed,
                          const std::string& remedy) {
    throw InputError(Problem{o.init, field, found, allowed, remedy});
  };
  if (!(start.info.architecture == o.network))
    refuse("architecture", start.info.architecture.name(), o.network.name() + ", the network of this run",
           "give the file's own --levels and --width, or other weights");
  if (std::abs(start.info.voxel_size - voxel) > 1e-3 * voxel)
    refuse("voxel_size_A", std::to_string(start.info.voxel_size), std::to_string(voxel) + ", that of the pairs",
           "give weights of this voxel size");
  if (start.info.normalisation != rule)
    refuse("normalisation", to_string(start.info.normalisation), to_string(rule),
           "give weights that were trained on the same grey scale");
  return start;
}

/// The run: data, networks and optimiser, set up and resumed by the constructor.
class Trainer {
 public:
  Trainer(const TrainOptions& options, const std::function<void(const std::string&)>& progress);
  void run();

 private:
  Batch load(std::int64_t step) const;
  double learning_rate(std::int64_t step) const;
  double one_step(const Batch& batch, double rate);
  void update_average();
  /// Validates, logs, and keeps weights and checkpoint.
  void check(double loss, double rate);
  WeightsInfo describe(const Validation& v) const;

  const TrainOptions& o_;
  const std::function<void(const std::string&)>& progress_;
  torch::Device device_;
  static constexpr double voxel_ = 2.5;
  static constexpr Normalisation rule_ = Normalisation::contrast;
  PairDataset training_, held_out_;
  std::vector<Example> validation_;
  UNet3d network_{nullptr}, average_{nullptr};
  std::optional<torch::optim::AdamW> optimiser_;
  std::optional<ShellLoss> loss_;
  std::string checkpoint_, log_;
  RunState state_;
  std::string init_name_;
  std::chrono::steady_clock::time_point begin_;
  std::int64_t first_ = 0;
};

Trainer::Trainer(const TrainOptions& o, const std::function<void(const std::string&)>& progress)
    : o_(o),
      progress_(progress),
      device_(o.device),
      training_(o.pairs, PairDataset::Part::training, rule_),
      held_out_(o.pairs, PairDataset::Part::validation, rule_),
      checkpoint_(o.run + "/checkpoint.pt"),
      log_(o.run + "/log.jsonl") {
  fs::create_directories(o.run);
  torch::manual_seed(o.seed);
  for (int i = 0; i < o.validation_pairs; ++i)  // spread over structures, the same ones for the same shards
    validation_.push_back(held_out_.example(static_cast<std::size_t>(i) * held_out_.pairs() /
                                            static_cast<std::size_t>(o.validation_pairs)));
  network_ = UNet3d(o.network);
  average_ = UNet3d(o.network);
  if (!o.init.empty()) {
    LoadedWeights start = load_init(o, voxel_, rule_);
    copy_parameters(start.network, network_);
    state_.init = start.info.sha256;
    init_name_ = start.info.name;
  }
  network_->to(device_);
  average_->to(device_);
  copy_parameters(network_, average_);
  optimiser_.emplace(network_->parameters(), torch::optim::AdamWOptions(o.learning_rate).weight_decay(o.weight_decay));
  loss_.emplace(static_cast<std::int64_t>(validation_[0].input.nx), device_);
  if (fs::exists(checkpoint_)) {
    const std::string asked = state_.init;
    state_ = load_checkpoint(checkpoint_, network_, average_, *optimiser_);
    if (!asked.empty() && asked != state_.init)
      throw InputError(Problem{checkpoint_, "start of the run",
                               state_.init.empty() ? "random weights" : "weights of SHA-256 " + state_.init,
                               "those of --init, SHA-256 " + asked, "give another --run folder, or leave --init away"});
  }
  first_ = state_.step;
}

Batch Trainer::load(std::int64_t step) const {
  std::vector<Example> examples;
  for (int b = 0; b < o_.batch; ++b)
    examples.push_back(training_.augmented(o_.seed, static_cast<std::uint64_t>(step * o_.batch + b)));
  return stack(examples);
}

double Trainer::learning_rate(std::int64_t step) const {
  const double ramp = std::min(1.0, static_cast<double>(step + 1) / 200);
  const double phase = static_cast<double>(step) / static_cast<double>(o_.steps);
  return o_.learning_rate * ramp * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * phase)));
}

double Trainer::one_step(const Batch& batch, double rate) {
  for (auto& group : optimiser_->param_groups()) group.options().set_lr(rate);
  Tensor output;
  {
    const Autocast autocast(device_.type(), o_.bf16);
    output = network_->forward(batch.input.to(device_));
  }
  const Tensor l = (*loss_)(output.to(torch::kFloat), batch.target.to(device_), batch.cut.to(device_));
  optimiser_->zero_grad();
  l.backward();
  torch::nn::utils::clip_grad_norm_(network_->parameters(), 1.0);
  optimiser_->step();
  return l.item<double>();
}

void Trainer::update_average() {
  torch::NoGradGuard no_grad;
  // From random weights the average begins short, so as to forget them.
  const auto step = static_cast<double>(state_.step);
  const double decay = state_.init.empty() ? std::min(o_.average, (1.0 + step) / (10.0 + step)) : o_.average;
  auto source = network_->parameters(), target = average_->parameters();
  for (std::size_t i = 0; i < source.size(); ++i) target[i].lerp_(source[i], 1 - decay);
}

WeightsInfo Trainer::describe(const Validation& v) const {
  WeightsInfo info;
  info.name = "denoiser-2.5A";
  info.licence = "CC0-1.0";
  info.date = today();
  info.voxel_size = voxel_;
  info.block = static_cast<int>(validation_[0].input.nx);
  info.normalisation = rule_;
  info.training = {{"steps", state_.step},
                   {"of", o_.steps},
                   {"init_sha256", state_.init.empty() ? nlohmann::json() : nlohmann::json(state_.init)},
                   {"batch", o_.batch},
                   {"seed", o_.seed},
                   {"bf16", o_.bf16},
                   {"learning_rate", o_.learning_rate},
                   {"pairs", training_.pairs()},
                   {"structures", training_.structures().size()},
                   {"validation_structures", held_out_.structures()},
                   {"task", "unregularised half-map to sharp truth cut at the same shell"}};
  info.metrics = {{"validation_pairs", validation_.size()},
                  {"fsc_in", v.fsc_in},
                  {"fsc_out", v.fsc_out},
                  {"worst_shell", v.worst_shell},
                  {"shells", "15 A to the cut"}};
  return info;
}

void Trainer::check(double loss, double rate) {
  const Validation v = validate(average_, validation_, *loss_, voxel_, device_);
  if (!std::isfinite(v.loss))
    throw SystemError(Problem{o_.run, "validation loss at step " + std::to_string(state_.step), "not a finite number",
                              "a training that converges", "lower --rate and begin in another --run folder"});
  const bool better = v.objective() > state_.best;
  if (better) {
    state_.best = v.objective();
    state_.best_step = state_.step;
  }
  state_.stale = better ? 0 : state_.stale + 1;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  const double per_step = state_.step > first_ ? seconds / static_cast<double>(state_.step - first_) : 0;
  const nlohmann::json line = {{"step", state_.step},
                               {"of", o_.steps},
                               {"loss", loss},
                               {"validation_loss", v.loss},
                               {"fsc_in", v.fsc_in},
                               {"fsc_out", v.fsc_out},
                               {"worst_shell", v.worst_shell},
                               {"objective", v.objective()},
                               {"best_step", state_.best_step},
                               {"rate", rate},
                               {"seconds_per_step", per_step},
                               {"seconds_left", per_step * static_cast<double>(o_.steps - state_.step)}};
  std::ofstream(log_, std::ios::app) << line.dump() << "\n";
  progress_(line.dump());
  // The checkpoint last: a run that is killed in between does this validation again.
  if (better || !o_.best) save_weights(o_.run + "/denoiser.crw", average_, describe(v), StoredType::float16);
  save_checkpoint(checkpoint_, network_, average_, *optimiser_, state_);
}

void Trainer::run() {
  begin_ = std::chrono::steady_clock::now();
  if (state_.step == 0 && !state_.init.empty()) {
    check(std::nan(""), 0);
    begin_ = std::chrono::steady_clock::now();
  }
  const auto tired = [&] { return o_.patience > 0 && state_.stale >= o_.patience; };
  if (state_.step >= o_.steps || tired()) return;
  auto next = std::async(std::launch::async, [this, s = state_.step] { return load(s); });
  double running = 0;
  std::int64_t counted = 0;
  while (state_.step < o_.steps && !tired()) {
    const Batch batch = next.get();
    next = std::async(std::launch::async, [this, s = state_.step + 1] { return load(s); });
    const double rate = learning_rate(state_.step);
    running += one_step(batch, rate);
    update_average();
    ++counted;
    ++state_.step;
    if (state_.step % o_.validate_every && state_.step != o_.steps) continue;
    check(running / static_cast<double>(counted), rate);
    running = 0;
    counted = 0;
  }
}

}  // namespace

void train(const TrainOptions& options, const std::function<void(const std::string&)>& progress) {
  Trainer(options, progress).run();
}

}  // namespace cryored
