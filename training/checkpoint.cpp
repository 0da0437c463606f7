#include "training/checkpoint.hpp"

#include <torch/serialize/archive.h>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"

namespace cryored {

void save_checkpoint(const std::string& path, torch::nn::Module& model, torch::nn::Module& average,
                     torch::optim::AdamW& optimiser, const RunState& state) {
  torch::serialize::OutputArchive archive, net, avg, opt;
  model.save(net);
  average.save(avg);
  optimiser.save(opt);
  archive.write("network", net);
  archive.write("average", avg);
  archive.write("optimiser", opt);
  archive.write("step", torch::tensor(state.step));
  archive.write("init", c10::IValue(state.init));
  archive.write("network_name", c10::IValue(state.network));
  archive.write("best", c10::IValue(state.best));
  archive.write("best_step", c10::IValue(state.best_step));
  archive.write("stale", c10::IValue(state.stale));
  archive.write("loss_sum", c10::IValue(state.loss_sum));
  archive.write("counted", c10::IValue(state.counted));
  archive.write("options", c10::IValue(json_text(state.options)));
  archive.write("sessions", c10::IValue(json_text(state.sessions)));
  // Whole before it is written: LibTorch's writer ends the program when what it calls throws, as on a full disk.
  std::string all;
  archive.save_to([&](const void* bytes, std::size_t count) {
    all.append(static_cast<const char*>(bytes), count);
    return count;
  });
  AtomicFile file(path);
  file.write(all.data(), all.size());
  file.commit();
}

RunState load_checkpoint(const std::string& path, torch::Device device, torch::nn::Module& model,
                         torch::nn::Module& average, torch::optim::AdamW& optimiser) {
  torch::serialize::InputArchive archive, net, avg, opt;
  torch::Tensor step;
  RunState state;
  try {
    // Without a device the tensors come back where they were saved, on another rank's GPU or on one that is not there.
    archive.load_from(path, device);
    archive.read("network", net);
    archive.read("average", avg);
    archive.read("optimiser", opt);
    archive.read("step", step);
    model.load(net);
    average.load(avg);
    optimiser.load(opt);
    state.step = step.item<std::int64_t>();
    // Checkpoints of older programs lack these: such a run has no best yet.
    c10::IValue value;
    if (archive.try_read("init", value)) state.init = value.toStringRef();
    if (archive.try_read("network_name", value)) state.network = value.toStringRef();
    if (archive.try_read("best", value)) state.best = value.toDouble();
    if (archive.try_read("best_step", value)) state.best_step = value.toInt();
    if (archive.try_read("stale", value)) state.stale = value.toInt();
    if (archive.try_read("loss_sum", value)) state.loss_sum = value.toDouble();
    if (archive.try_read("counted", value)) state.counted = value.toInt();
    if (archive.try_read("options", value)) state.options = nlohmann::json::parse(value.toStringRef());
    if (archive.try_read("sessions", value)) state.sessions = nlohmann::json::parse(value.toStringRef());
  } catch (const c10::Error& e) {
    throw InputError(Problem{path, "checkpoint", e.what_without_backtrace(), "a checkpoint of the same network",
                             "give another --run folder, or remove the file to start anew"});
  }
  return state;
}

}  // namespace cryored
