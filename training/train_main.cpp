// cryored-train: trains the denoiser on shards made by cryored-pairs. Resumes by itself.

#include <torch/utils.h>

#include <iostream>

#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "training/trainer.hpp"

using namespace cryored;

namespace {

CommandSpec command() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "cryored-train";
  spec.summary = "Trains the denoiser on pairs made by cryored-pairs";
  spec.details =
      "RUN holds checkpoint.pt, log.jsonl and denoiser.crw; a run that exists goes on from its checkpoint. See "
      "docs/training.md.";
  spec.options = {
      tool_option("pairs", path, "DIR", "", "folder of shards (required)"),
      tool_option("run", path, "DIR", "", "folder of this run (required)"),
      tool_option("init", path, "FILE", "",
                  "weights file (.crw) to start from instead of random weights; its architecture must be that of "
                  "--levels and --width"),
      tool_option("steps", integer, "N", "10000", 1, 1e9, "steps in all, over all resumptions"),
      tool_option("batch", integer, "N", "2", 1, 1024, "pairs a step"),
      tool_option("rate", number, "R", "0.001", 1e-8, 1, "peak learning rate"),
      tool_option("levels", integer, "N", "5", 1, 8, "levels of the U-Net"),
      tool_option("width", integer, "N", "16", 8, 256, "channels of its first level"),
      tool_option("seed", integer, "N", "1", 0, 1e15, "seed of the batches and the initial weights"),
      tool_option("validate-every", integer, "N", "500", 1, 1e9, "steps between validations and checkpoints"),
      tool_option("best", flag, "", "yes",
                  "denoiser.crw holds the weights of the best validation (mean gain of the FSC to the truth less "
                  "what the worst shell loses), not of the last; with --init those it started from count too"),
      tool_option("patience", integer, "N", "0", 0, 1e9,
                  "stop early, after N validations without a better one; 0: never"),
      tool_option("float32", flag, "", "no", "no mixed precision"),
      tool_option("device", choice, "D", "cpu", "cpu or cuda"),
      tool_option("threads", integer, "N", "0", 0, 1024, "CPU threads, 0: all"),
  };
  for (auto& option : spec.options)
    if (option.kind == choice) option.choices = {"cpu", "cuda"};
  return spec;
}

int run(const Settings& settings) {
  for (const char* required : {"pairs", "run"})
    if (settings.text(required).empty())
      throw UsageError(Problem{std::string("--") + required, "", "nothing", "a folder", "give it; see --help"});
  TrainOptions o;
  o.pairs = settings.text("pairs");
  o.run = settings.text("run");
  o.init = settings.text("init");
  o.steps = settings.integer("steps");
  o.batch = static_cast<int>(settings.integer("batch"));
  o.learning_rate = settings.number("rate");
  o.network.levels = static_cast<int>(settings.integer("levels"));
  o.network.width = static_cast<int>(settings.integer("width"));
  o.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  o.validate_every = settings.integer("validate-every");
  o.best = settings.flag("best");
  o.patience = settings.integer("patience");
  o.bf16 = !settings.flag("float32");
  o.device = settings.text("device");
  if (const int threads = static_cast<int>(settings.integer("threads")); threads > 0) {
    torch::set_num_threads(threads);
    set_threads(threads);
  }
  train(o, [](const std::string& line) { std::cerr << line << std::endl; });
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run_tool(command(), argc, argv, run); }
