#include "training/checkpoint.hpp"

#include <torch/serialize/archive.h>

#include <filesystem>

#include "core/base/error.hpp"

namespace cryored {

void save_checkpoint(const std::string& path, UNet3d& network, UNet3d& average, torch::optim::AdamW& optimiser,
                     const RunState& state) {
  torch::serialize::OutputArchive archive, net, avg, opt;
  network->save(net);
  average->save(avg);
  optimiser.save(opt);
  archive.write("network", net);
  archive.write("average", avg);
  archive.write("optimiser", opt);
  archive.write("step", torch::tensor(state.step));
  archive.write("init", c10::IValue(state.init));
  archive.write("best", c10::IValue(state.best));
  archive.write("best_step", c10::IValue(state.best_step));
  archive.write("stale", c10::IValue(state.stale));
  archive.save_to(path + ".tmp");
  std::filesystem::rename(path + ".tmp", path);
}

RunState load_checkpoint(const std::string& path, UNet3d& network, UNet3d& average, torch::optim::AdamW& optimiser) {
  torch::serialize::InputArchive archive, net, avg, opt;
  torch::Tensor step;
  RunState state;
  try {
    archive.load_from(path);
    archive.read("network", net);
    archive.read("average", avg);
    archive.read("optimiser", opt);
    archive.read("step", step);
    network->load(net);
    average->load(avg);
    optimiser.load(opt);
    state.step = step.item<std::int64_t>();
    // Checkpoints of older programs lack these: such a run has no best yet.
    c10::IValue value;
    if (archive.try_read("init", value)) state.init = value.toStringRef();
    if (archive.try_read("best", value)) state.best = value.toDouble();
    if (archive.try_read("best_step", value)) state.best_step = value.toInt();
    if (archive.try_read("stale", value)) state.stale = value.toInt();
  } catch (const c10::Error& e) {
    throw InputError(Problem{path, "checkpoint", e.what_without_backtrace(), "a checkpoint of the same network",
                             "give another --run folder, or remove the file to start anew"});
  }
  return state;
}

}  // namespace cryored
