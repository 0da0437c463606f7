#include "training/trainer.hpp"

#include <torch/nn/utils/clip_grad.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <future>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "training/checkpoint.hpp"
#include "training/gradients.hpp"
#include "training/place.hpp"
#include "training/ranks.hpp"
#include "training/run_folder.hpp"
#include "training/run_report.hpp"
#include "training/store_ranks.hpp"
#include "training/task.hpp"

namespace cryored {
namespace fs = std::filesystem;
namespace {

using torch::Tensor;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Parameters and buffers.
std::vector<Tensor> state_tensors(const torch::nn::Module& model) {
  auto all = model.parameters();
  for (const auto& b : model.buffers()) all.push_back(b);
  return all;
}

void copy_state(const torch::nn::Module& from, const torch::nn::Module& to) {
  torch::NoGradGuard no_grad;
  const auto source = state_tensors(from), target = state_tensors(to);
  for (std::size_t i = 0; i < source.size(); ++i) target[i].copy_(source[i]);
}

/// Channels innermost, for images and volumes.
Tensor channels_last(const Tensor& t) {
  if (t.dim() == 5) return t.contiguous(at::MemoryFormat::ChannelsLast3d);
  if (t.dim() == 4) return t.contiguous(at::MemoryFormat::ChannelsLast);
  return t;
}

/// The run: task, networks and optimiser, set up and resumed by the constructor.
class Trainer {
 public:
  Trainer(const TrainOptions& options, Ranks& ranks, const std::function<void(const TrainProgress&)>& progress);
  TrainEnd run();

 private:
  struct Part {
    Tensors batch;
    double share;  ///< of the mean over the whole batch
  };
  void check_options() const;
  void resume();
  nlohmann::json decisive_options() const;
  void check_same_options(const nlohmann::json& now);
  void start_device_sum();
  std::vector<Part> load(std::int64_t step) const;
  double learning_rate(std::int64_t step) const;
  StepFigures one_step(const std::vector<Part>& parts, double rate);
  void update_average();
  void report(double rate, const std::string& validation) const;
  /// Validates, logs, and keeps weights and checkpoint.
  void check(double loss, double rate);
  void save();
  nlohmann::json session() const;
  nlohmann::json settings() const;
  /// What stands in the weights file: settings and data.
  nlohmann::json training_record() const;

  const TrainOptions& o_;
  Ranks& ranks_;
  const std::function<void(const TrainProgress&)>& progress_;
  std::optional<RunFolder> folder_;  ///< rank 0
  Place place_;
  std::unique_ptr<TrainingTask> task_;
  TaskDescription description_;
  std::shared_ptr<torch::nn::Module> model_, average_;
  std::optional<torch::optim::AdamW> optimiser_;
  std::unique_ptr<DeviceSum> on_device_;
  std::optional<RunLog> log_;  ///< rank 0
  std::string checkpoint_;
  RunState state_;
  Clock::time_point session_ = Clock::now(), begin_;
  double step_seconds_ = 0;  ///< without validations
  std::int64_t first_ = 0;
  bool resumed_ = false;
  std::string note_;  ///< as TrainProgress::note
};

Trainer::Trainer(const TrainOptions& o, Ranks& ranks, const std::function<void(const TrainProgress&)>& progress)
    : o_(o), ranks_(ranks), progress_(progress), checkpoint_(o.run + "/checkpoint.pt") {
  check_options();
  if (ranks.first()) folder_.emplace(o.run);
  place_ = take_place(o, ranks);
  torch::manual_seed(o.seed);
  task_ = make_task(o, place_.device, ranks.size());
  description_ = task_->description();
  model_ = task_->new_model();
  average_ = task_->new_model();
  if (!o.init.empty()) state_.init = task_->read_weights(o.init, *model_);
  model_->to(place_.device);
  average_->to(place_.device);
  broadcast_tensors(state_tensors(*model_), ranks);
  copy_state(*model_, *average_);
  optimiser_.emplace(model_->parameters(), torch::optim::AdamWOptions(o.learning_rate).weight_decay(o.weight_decay));
  resume();
  if (o.channels_last)
    for (auto* model : {model_.get(), average_.get()})
      for (auto& p : model->parameters()) p.set_data(channels_last(p.data()));
  // Without a checkpoint the log is one of a run that was killed before its first.
  if (ranks.first()) log_.emplace(o.run, resumed_ ? state_.step : -1);
  start_device_sum();
  state_.sessions.push_back(session());
  if (!note_.empty()) state_.sessions.back()["note"] = note_;
  first_ = state_.step;
}

void Trainer::check_options() const {
  const int parts = o_.accumulate * ranks_.size();
  if (o_.batch % parts != 0)
    throw UsageError(Problem{"--batch", "", std::to_string(o_.batch),
                             "a multiple of " + std::to_string(parts) + ", ranks times --accumulate",
                             "the batch is what all ranks together take in a step: give one that can be shared out"});
}

/// As RunState::options. Not here, since a run may well go on with others of them: steps, for a longer run; weight
/// decay, which the sessions record; what changes the result by rounding at most.
nlohmann::json Trainer::decisive_options() const {
  nlohmann::json all = task_->decisive_options();
  all.update(
      {{"--task", o_.task},
       {"--batch", o_.batch},
       {"--rate", o_.learning_rate},
       {"--warm-up", o_.warm_up},
       {"--schedule", o_.cosine ? "cosine" : "constant"},
       {"--average", o_.average},
       {"--float32", !o_.bf16},
       {"--seed", o_.seed},
       // Objectives of other examples cannot be compared, nor is there a file of the best weights without --best.
       {"--validation-examples", o_.validation_examples},
       {"--best", o_.best}});
  return all;
}

/// Else the model card would tell of the new options alone.
void Trainer::check_same_options(const nlohmann::json& now) {
  const auto shown = [](const nlohmann::json& value) {
    return value.is_string()    ? value.get<std::string>()
           : value.is_boolean() ? std::string(value.get<bool>() ? "yes" : "no")
                                : json_text(value);
  };
  for (const auto& [name, value] : now.items())
    if (const auto began = state_.options.find(name); began != state_.options.end() && *began != value)
      throw InputError(Problem{checkpoint_, name, shown(*began) + ", with which the run began",
                               shown(value) + ", as the options say now",
                               "go back to what the run began with, or give another --run folder"});
  if (state_.options.empty() && state_.step > 0)
    note_ = "the checkpoint of an older program has no record of its options: whether they are those of step 0 to " +
            std::to_string(state_.step) + " could not be compared";
}

void Trainer::resume() {
  const nlohmann::json options = decisive_options();
  // Rank 0 alone looks, so that all do the same; the others then read the same file.
  char there = static_cast<char>(ranks_.first() && fs::exists(checkpoint_));
  ranks_.broadcast(&there, 1);
  resumed_ = there != 0;
  if (resumed_) {
    const std::string asked = state_.init;
    state_ = load_checkpoint(checkpoint_, place_.device, *model_, *average_, *optimiser_);
    // The optimiser comes back with the options that it was saved with; the rate is set at every step.
    for (auto& group : optimiser_->param_groups())
      static_cast<torch::optim::AdamWOptions&>(group.options()).weight_decay(o_.weight_decay);
    if (!asked.empty() && asked != state_.init)
      throw InputError(Problem{checkpoint_, "start of the run",
                               state_.init.empty() ? "random weights" : "weights of SHA-256 " + state_.init,
                               "those of --init, SHA-256 " + asked, "give another --run folder, or leave --init away"});
    // Options without weights of their own, as the activation is, would else change unnoticed.
    if (!state_.network.empty() && state_.network != description_.network)
      throw InputError(Problem{checkpoint_, "network", state_.network, description_.network + ", as the options say",
                               "give the options the run began with, or another --run folder"});
    check_same_options(options);
    std::int64_t step = state_.step;
    ranks_.broadcast(&step, sizeof step);
    if (step != state_.step)
      throw SystemError(Problem{checkpoint_, "step", std::to_string(state_.step), std::to_string(step) + ", as rank 0",
                                "give a --run folder that all ranks see alike"});
    if (state_.step > 0 && state_.sessions.empty())
      state_.sessions.push_back({{"from_step", 0}, {"to_step", state_.step}, {"command", "(not recorded)"}});
  }
  state_.network = description_.network;
  state_.options.update(options);
  // Written only when all have read.
  ranks_.broadcast(&there, 1);
}

void Trainer::start_device_sum() {
  if (ranks_.size() == 1 || !each_has_a_gpu_of_its_own(place_.gpu, ranks_)) return;
  if (void* entry = find_nccl(o_.nccl_library))
    on_device_.reset(reinterpret_cast<DeviceSum* (*)(Ranks&)>(entry)(ranks_));
}

nlohmann::json Trainer::session() const {
  return {
      {"from_step", state_.step},
      {"to_step", state_.step},
      {"seconds", 0.0},
      {"command", o_.provenance.command},
      {"version", o_.provenance.version},
      {"commit", o_.provenance.commit},
      {"hardware", place_.hardware},
      {"threads", place_.threads},
      {"weight_decay", o_.weight_decay},
      {"ranks", ranks_.size()},
      {"engine", ranks_.engine() + (on_device_                                     ? ", NCCL"
                                    : ranks_.size() > 1 && place_.device.is_cuda() ? ", gradients through host memory"
                                                                                   : "")}};
}

std::vector<Trainer::Part> Trainer::load(std::int64_t step) const {
  const int parts = o_.accumulate * ranks_.size(), size = o_.batch / parts;
  std::vector<Part> mine;
  for (int a = 0; a < o_.accumulate; ++a) {
    std::vector<Tensors> examples;
    examples.reserve(static_cast<std::size_t>(size));
    for (int b = 0; b < size; ++b)
      examples.push_back(
          task_->source().draw({o_.seed, step, (ranks_.rank() * o_.accumulate + a) * size + b, o_.batch}));
    mine.push_back({stack_examples(examples), 1.0 / parts});
  }
  return mine;
}

double Trainer::learning_rate(std::int64_t step) const {
  const double ramp =
      o_.warm_up > 0 ? std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(o_.warm_up)) : 1;
  if (!o_.cosine) return o_.learning_rate * ramp;
  const double phase = static_cast<double>(step) / static_cast<double>(o_.steps);
  return o_.learning_rate * ramp * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * phase)));
}

StepFigures Trainer::one_step(const std::vector<Part>& parts, double rate) {
  for (auto& group : optimiser_->param_groups()) group.options().set_lr(rate);
  optimiser_->zero_grad();
  StepFigures figures;
  for (const Part& part : parts) {
    Tensors batch;
    for (const auto& t : part.batch) {
      const Tensor there = t.to(place_.device);
      batch.push_back(o_.channels_last ? channels_last(there) : there);
    }
    const Tensor l = task_->loss(*model_, batch, o_.bf16) * part.share;
    l.backward();
    figures.loss += l.item<double>();
  }
  figures.stop = o_.stop && o_.stop();
  sum_over_ranks(model_->parameters(), figures, ranks_, on_device_.get());
  torch::nn::utils::clip_grad_norm_(model_->parameters(), 1.0);
  optimiser_->step();
  return figures;
}

void Trainer::update_average() {
  torch::NoGradGuard no_grad;
  // From random weights the average begins short, so as to forget them.
  const auto step = static_cast<double>(state_.step);
  const double decay = state_.init.empty() ? std::min(o_.average, (1.0 + step) / (10.0 + step)) : o_.average;
  auto source = model_->parameters(), target = average_->parameters();
  for (std::size_t i = 0; i < source.size(); ++i) target[i].lerp_(source[i], 1 - decay);
  const auto now = model_->buffers(), kept = average_->buffers();
  for (std::size_t i = 0; i < now.size(); ++i) kept[i].copy_(now[i]);
}

nlohmann::json Trainer::settings() const {
  // One where it never changed.
  nlohmann::json decays = nlohmann::json::array();
  for (const auto& s : state_.sessions)
    if (const auto decay = s.find("weight_decay"); decay != s.end() && (decays.empty() || decays.back() != *decay))
      decays.push_back(*decay);
  return {{"optimiser", "AdamW"},
          {"steps", state_.step},
          {"of", o_.steps},
          {"init_sha256", state_.init.empty() ? nlohmann::json() : nlohmann::json(state_.init)},
          {"batch", o_.batch},
          {"accumulate", o_.accumulate},
          {"seed", o_.seed},
          {"bf16", o_.bf16},
          {"learning_rate", o_.learning_rate},
          {"warm_up", o_.warm_up},
          {"schedule", o_.cosine ? "cosine" : "constant"},
          {"weight_decay", decays.size() == 1 ? decays[0] : decays},
          {"average", o_.average}};
}

nlohmann::json Trainer::training_record() const {
  nlohmann::json record = task_->source().description();
  record.update(settings());
  record["commit"] = o_.provenance.commit;
  return record;
}

void Trainer::report(double rate, const std::string& validation) const {
  if (!ranks_.first() || !progress_) return;
  const auto done = static_cast<double>(state_.step - first_);
  TrainProgress p;
  p.step = state_.step;
  p.of = o_.steps;
  p.loss = state_.counted > 0 ? state_.loss_sum / static_cast<double>(state_.counted) : 0;
  p.rate = rate;
  if (done > 0) {
    p.examples_per_second = step_seconds_ > 0 ? done * o_.batch / step_seconds_ : 0;
    p.seconds_left = seconds_since(begin_) / done * static_cast<double>(o_.steps - state_.step);
  }
  p.validation = validation;
  progress_(p);
}

void Trainer::check(double loss, double rate) {
  // Rank 0 judges for all.
  Judgement v;
  if (ranks_.first()) v = task_->validate(*average_, place_.device);
  double figures[2] = {v.objective, v.loss};
  ranks_.broadcast(figures, sizeof figures);
  v.objective = figures[0];
  v.loss = figures[1];
  if (!std::isfinite(v.loss))
    throw SystemError(Problem{o_.run, "validation loss at step " + std::to_string(state_.step), "not a finite number",
                              "a training that converges", "lower --rate and begin in another --run folder"});
  const bool better = v.objective > state_.best;
  if (better) {
    state_.best = v.objective;
    state_.best_step = state_.step;
  }
  state_.stale = better ? 0 : state_.stale + 1;
  state_.counted = 0;
  state_.loss_sum = 0;
  if (!ranks_.first()) return;
  const auto done = static_cast<double>(state_.step - first_);
  const double per_step = done > 0 ? seconds_since(begin_) / done : 0;
  nlohmann::json line = {{"step", state_.step},
                         {"of", o_.steps},
                         {"loss", loss},
                         {"validation_loss", v.loss},
                         {"objective", v.objective},
                         {"best_step", state_.best_step},
                         {"rate", rate},
                         {"seconds_per_step", per_step},
                         {"examples_per_second", step_seconds_ > 0 ? done * o_.batch / step_seconds_ : 0},
                         {"seconds_left", per_step * static_cast<double>(o_.steps - state_.step)}};
  line.update(v.figures);
  log_->append(line);
  report(rate, line.dump());
  // The checkpoint last: a run that is killed in between does this validation again.
  if (better || !o_.best)
    task_->write_weights(o_.run + "/" + description_.weights_file, *average_, training_record(), v.figures);
  save();
  RunReport r;
  r.task = description_;
  r.data = task_->source().description();
  r.settings = settings();
  r.sessions = state_.sessions;
  r.lines = log_->lines();
  for (const auto& l : r.lines)
    if (l["step"] == (o_.best ? state_.best_step : state_.step)) r.shipped = l;
  write_run_report(o_.run, r);
}

void Trainer::save() {
  if (!ranks_.first()) return;
  auto& now = state_.sessions.back();
  now["to_step"] = state_.step;
  now["seconds"] = seconds_since(session_);
  save_checkpoint(checkpoint_, *model_, *average_, *optimiser_, state_);
}

TrainEnd Trainer::run() {
  begin_ = Clock::now();
  if (!note_.empty() && ranks_.first() && progress_) {
    TrainProgress p;
    p.step = state_.step;
    p.of = o_.steps;
    p.note = note_;
    progress_(p);
  }
  // A checkpoint of step 0 was written by this validation.
  if (!resumed_ && !state_.init.empty()) {
    check(std::nan(""), 0);
    begin_ = Clock::now();
  }
  const auto tired = [&] { return o_.patience > 0 && state_.stale >= o_.patience; };
  if (tired()) return TrainEnd::patience;
  if (state_.step >= o_.steps) return TrainEnd::finished;
  auto next = std::async(std::launch::async, [this, s = state_.step] { return load(s); });
  bool stop = false;
  while (state_.step < o_.steps && !tired() && !stop) {
    const auto start = Clock::now();
    const std::vector<Part> parts = next.get();
    next = std::async(std::launch::async, [this, s = state_.step + 1] { return load(s); });
    const double rate = learning_rate(state_.step);
    const StepFigures figures = one_step(parts, rate);
    state_.loss_sum += figures.loss;
    ++state_.counted;
    stop = figures.stop;
    update_average();
    ++state_.step;
    step_seconds_ += seconds_since(start);
    if (state_.step % o_.validate_every == 0 || state_.step == o_.steps) {
      check(state_.loss_sum / static_cast<double>(state_.counted), rate);
    } else {
      report(rate, {});
      if (stop || (o_.save_every > 0 && state_.step % o_.save_every == 0)) save();
    }
  }
  if (tired()) return TrainEnd::patience;
  return state_.step >= o_.steps ? TrainEnd::finished : TrainEnd::stopped;
}

}  // namespace

TrainEnd train(const TrainOptions& options, const std::function<void(const TrainProgress&)>& progress) {
  const Launch launch = launched();
  const auto ranks = launch.launcher == Launcher::mpi        ? join_mpi(options.mpi_library, launch.size)
                     : launch.launcher == Launcher::torchrun ? join_store(torchrun_variables())
                                                             : one_process();
  const TrainEnd end = Trainer(options, *ranks, progress).run();
  ranks->finish();
  return end;
}

}  // namespace cryored
