#include "training/trainer.hpp"

#include <ATen/autocast_mode.h>
#include <torch/torch.h>

#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"
#include "models/unet_weights.hpp"

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

struct Batch {
  Tensor input, target, cut;
};

Tensor tensor_of(const Map& map) {
  const auto n = static_cast<std::int64_t>(map.nx);
  return torch::from_blob(const_cast<float*>(map.data.data()), {1, n, n, n}).clone();
}

Batch stack(const std::vector<Example>& examples) {
  std::vector<Tensor> in, out;
  std::vector<std::int64_t> cut;
  for (const auto& e : examples) {
    in.push_back(tensor_of(e.input));
    out.push_back(tensor_of(e.target));
    cut.push_back(e.cut);
  }
  return {torch::stack(in), torch::stack(out), torch::tensor(cut)};
}

/// Squared error relative to the truth's power, half over the whole map and half as the mean
/// over shells 1 .. cut - 1. The first alone would train little but the strong low-resolution
/// shells; the second is what FSC to truth measures (1 - FSC^2 for the best scale).
class ShellLoss {
 public:
  ShellLoss(std::int64_t box, torch::Device device) : shells_(box / 2 + 1) {
    const auto h = torch::arange(shells_, torch::kFloat);
    const auto i = torch::arange(box, torch::kFloat);
    const auto f = torch::where(i > static_cast<double>(box / 2), i - static_cast<double>(box), i);
    const auto r = (f.view({-1, 1, 1}).square() + f.view({1, -1, 1}).square() + h.view({1, 1, -1}).square()).sqrt();
    index_ = r.round().to(torch::kLong).clamp_max(shells_).view({-1}).to(device);
    number_ = torch::arange(shells_, torch::TensorOptions(torch::kLong).device(device));
  }

  Tensor operator()(const Tensor& output, const Tensor& target, const Tensor& cut) const {
    const Tensor error = shell_sums(output - target), power = shell_sums(target);  // [batch, shells]
    const Tensor inside = ((number_ > 0) & (number_ < cut.view({-1, 1}))).to(torch::kFloat);
    const Tensor ratio = error / (power + 1e-6 * power.sum(1, true));
    const Tensor by_shell = (ratio * inside).sum(1) / inside.sum(1);
    const Tensor whole = error.sum(1) / power.sum(1);
    return 0.5 * (by_shell + whole).mean();
  }

 private:
  Tensor shell_sums(const Tensor& maps) const {
    const Tensor p = torch::view_as_real(torch::fft::rfftn(maps.squeeze(1), {}, {1, 2, 3})).square().sum(-1);
    const Tensor flat = p.reshape({maps.size(0), -1});
    return torch::zeros({maps.size(0), shells_ + 1}, flat.options()).index_add(1, index_, flat).narrow(1, 0, shells_);
  }

  std::int64_t shells_;
  Tensor index_, number_;
};

Map map_of(const Tensor& t) {
  const Tensor c = t.detach().to(torch::kCPU, torch::kFloat).contiguous();
  const auto n = static_cast<std::size_t>(c.size(-1));
  Map map(n, n, n);
  std::copy_n(c.data_ptr<float>(), map.size(), map.data.data());
  return map;
}

Validation validate(UNet3d& network, const std::vector<Example>& examples, const ShellLoss& loss, double voxel,
                    torch::Device device) {
  torch::NoGradGuard no_grad;
  Validation v;
  std::vector<double> change, count;
  double shells = 0;
  for (const auto& e : examples) {
    const Batch b = stack({e});
    const Tensor output = network->forward(b.input.to(device));
    v.loss += loss(output, b.target.to(device), b.cut.to(device)).item<double>() / static_cast<double>(examples.size());
    const auto before = fsc(e.input, e.target), after = fsc(map_of(output), e.target);
    const auto box = e.input.nx;
    change.resize(before.size());
    count.resize(before.size());
    for (auto s = static_cast<std::size_t>(std::ceil(static_cast<double>(box) * voxel / 15));
         static_cast<int>(s) < e.cut; ++s) {
      v.fsc_in += before[s];
      v.fsc_out += after[s];
      change[s] += after[s] - before[s];
      count[s] += 1;
      shells += 1;
    }
  }
  v.fsc_in /= shells;
  v.fsc_out /= shells;
  for (std::size_t s = 0; s < change.size(); ++s)
    if (count[s] > 0) v.worst_shell = std::min(v.worst_shell, change[s] / count[s]);
  return v;
}

void copy_parameters(UNet3d& from, UNet3d& to) {
  torch::NoGradGuard no_grad;
  auto source = from->parameters(), target = to->parameters();
  for (std::size_t i = 0; i < source.size(); ++i) target[i].copy_(source[i]);
}

void save_checkpoint(const std::string& path, UNet3d& network, UNet3d& average, torch::optim::AdamW& optimiser,
                     std::int64_t step) {
  torch::serialize::OutputArchive archive, net, avg, opt;
  network->save(net);
  average->save(avg);
  optimiser.save(opt);
  archive.write("network", net);
  archive.write("average", avg);
  archive.write("optimiser", opt);
  archive.write("step", torch::tensor(step));
  archive.save_to(path + ".tmp");
  fs::rename(path + ".tmp", path);
}

std::int64_t load_checkpoint(const std::string& path, UNet3d& network, UNet3d& average,
                             torch::optim::AdamW& optimiser) {
  torch::serialize::InputArchive archive, net, avg, opt;
  Tensor step;
  try {
    archive.load_from(path);
    archive.read("network", net);
    archive.read("average", avg);
    archive.read("optimiser", opt);
    archive.read("step", step);
    network->load(net);
    average->load(avg);
    optimiser.load(opt);
  } catch (const c10::Error& e) {
    throw InputError(Problem{path, "checkpoint", e.what_without_backtrace(), "a checkpoint of the same network",
                             "give another --run folder, or remove the file to start anew"});
  }
  return step.item<std::int64_t>();
}

}  // namespace

void train(const TrainOptions& o, const std::function<void(const std::string&)>& progress) {
  fs::create_directories(o.run);
  torch::manual_seed(o.seed);
  const torch::Device device(o.device);
  const PairDataset training(o.pairs, PairDataset::Part::training, Normalisation::contrast);
  const PairDataset held_out(o.pairs, PairDataset::Part::validation, Normalisation::contrast);
  std::vector<Example> validation;
  for (int i = 0; i < o.validation_pairs; ++i)  // spread over structures, the same ones for the same shards
    validation.push_back(held_out.example(static_cast<std::size_t>(i) * held_out.pairs() /
                                          static_cast<std::size_t>(o.validation_pairs)));
  const double voxel = 2.5;

  UNet3d network(o.network), average(o.network);
  network->to(device);
  average->to(device);
  copy_parameters(network, average);
  torch::optim::AdamW optimiser(network->parameters(),
                                torch::optim::AdamWOptions(o.learning_rate).weight_decay(o.weight_decay));
  const std::string checkpoint = o.run + "/checkpoint.pt", log = o.run + "/log.jsonl";
  std::int64_t step = fs::exists(checkpoint) ? load_checkpoint(checkpoint, network, average, optimiser) : 0;
  const ShellLoss loss(static_cast<std::int64_t>(validation[0].input.nx), device);

  const auto load = [&](std::int64_t s) {
    std::vector<Example> examples;
    for (int b = 0; b < o.batch; ++b)
      examples.push_back(training.augmented(o.seed, static_cast<std::uint64_t>(s * o.batch + b)));
    return stack(examples);
  };
  auto next = std::async(std::launch::async, load, step);
  const auto begin = std::chrono::steady_clock::now();
  const std::int64_t first = step;
  double running = 0;
  std::int64_t counted = 0;
  for (; step < o.steps; ++step) {
    const Batch batch = next.get();
    next = std::async(std::launch::async, load, step + 1);
    const double ramp = std::min(1.0, static_cast<double>(step + 1) / 200);
    const double phase = static_cast<double>(step) / static_cast<double>(o.steps);
    const double rate = o.learning_rate * ramp * (0.01 + 0.99 * 0.5 * (1 + std::cos(M_PI * phase)));
    for (auto& group : optimiser.param_groups()) group.options().set_lr(rate);

    Tensor output;
    {
      const Autocast autocast(device.type(), o.bf16);
      output = network->forward(batch.input.to(device));
    }
    const Tensor l = loss(output.to(torch::kFloat), batch.target.to(device), batch.cut.to(device));
    optimiser.zero_grad();
    l.backward();
    torch::nn::utils::clip_grad_norm_(network->parameters(), 1.0);
    optimiser.step();
    {
      torch::NoGradGuard no_grad;
      const double decay = std::min(o.average, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
      auto source = network->parameters(), target = average->parameters();
      for (std::size_t i = 0; i < source.size(); ++i) target[i].lerp_(source[i], 1 - decay);
    }
    running += l.item<double>();
    ++counted;
    const bool last = step + 1 == o.steps;
    if ((step + 1) % o.validate_every && !last) continue;

    const Validation v = validate(average, validation, loss, voxel, device);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double per_step = seconds / static_cast<double>(step + 1 - first);
    const nlohmann::json line = {{"step", step + 1},
                                 {"of", o.steps},
                                 {"loss", running / static_cast<double>(counted)},
                                 {"validation_loss", v.loss},
                                 {"fsc_in", v.fsc_in},
                                 {"fsc_out", v.fsc_out},
                                 {"worst_shell", v.worst_shell},
                                 {"rate", rate},
                                 {"seconds_per_step", per_step},
                                 {"seconds_left", per_step * static_cast<double>(o.steps - step - 1)}};
    std::ofstream(log, std::ios::app) << line.dump() << "\n";
    progress(line.dump());
    running = 0;
    counted = 0;
    save_checkpoint(checkpoint, network, average, optimiser, step + 1);
    WeightsInfo info;
    info.name = "denoiser-2.5A";
    info.licence = "CC0-1.0";
    info.date = today();
    info.voxel_size = voxel;
    info.block = static_cast<int>(validation[0].input.nx);
    info.normalisation = Normalisation::contrast;
    info.training = {{"steps", step + 1},
                     {"batch", o.batch},
                     {"seed", o.seed},
                     {"bf16", o.bf16},
                     {"learning_rate", o.learning_rate},
                     {"pairs", training.pairs()},
                     {"structures", training.structures().size()},
                     {"validation_structures", held_out.structures()},
                     {"task", "unregularised half-map to sharp truth cut at the same shell"}};
    info.metrics = {{"validation_pairs", validation.size()},
                    {"fsc_in", v.fsc_in},
                    {"fsc_out", v.fsc_out},
                    {"worst_shell", v.worst_shell},
                    {"shells", "15 A to the cut"}};
    save_weights(o.run + "/denoiser.crw", average, info, StoredType::float16);
  }
}

}  // namespace cryored
