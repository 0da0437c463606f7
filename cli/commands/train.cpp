// cryored train: trains a network on data made before. The work is done in libcryored_train.so.

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/clock_text.hpp"
#include "cli/command.hpp"
#include "cli/installation.hpp"
#include "cli/run_program.hpp"
#include "cli/train_library.hpp"
#include "cli/training_options.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

using Clock = std::chrono::steady_clock;

volatile std::sig_atomic_t asked_to_end = 0;

/// The first signal ends the run with a checkpoint, the second at once.
void on_signal(int number) {
  asked_to_end = number;
  std::signal(number, SIG_DFL);
}

/// The words this process was started with, as a shell would take them.
std::string own_command() {
  std::ifstream file("/proc/self/cmdline");
  std::string text, word;
  while (std::getline(file, word, '\0')) {
    if (text.empty()) word = "cryored";
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,+-") ==
                                            std::string::npos;
    std::string quoted = plain ? word : "'";
    if (!plain) {
      for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
      quoted += "'";
    }
    text += (text.empty() ? "" : " ") + quoted;
  }
  return text;
}

/// Steps on stderr: one line that is written over on a terminal, else a line now and then.
class Reporter {
 public:
  explicit Reporter(double every) : every_(every), terminal_(isatty(STDERR_FILENO) == 1) {}

  void operator()(const TrainProgress& p) {
    if (!p.note.empty()) {
      print("cryored train: " + p.note, true);
    } else if (!p.validation.empty()) {
      const auto line = nlohmann::json::parse(p.validation);
      std::ostringstream text;
      text << "validation at step " << p.step << "/" << p.of << ":";
      text.precision(4);
      for (const auto& [key, value] : line.items())
        if (value.is_number() &&
            (key == "loss" || key == "validation_loss" || key == "objective" || key == "best_step" ||
             key.starts_with("fsc") || key.starts_with("frc") || key == "worst_shell"))
          text << " " << key << " " << value.get<double>();
      print(text.str(), true);
      last_ = Clock::now();
    } else if (std::chrono::duration<double>(Clock::now() - last_).count() >= every_) {
      last_ = Clock::now();
      char text[160];
      std::snprintf(text, sizeof text, "step %lld/%lld: loss %.4f, %.2f examples/s, %s left",
                    static_cast<long long>(p.step), static_cast<long long>(p.of), p.loss, p.examples_per_second,
                    clock_text(p.seconds_left).c_str());
      print(text, false);
    }
  }

  void print(const std::string& text, bool keep) {
    if (terminal_)
      std::cerr << "\r\033[K" << text << (keep ? "\n" : "") << std::flush;
    else
      std::cerr << text << std::endl;
  }

 private:
  double every_;
  bool terminal_;
  Clock::time_point last_ = Clock::now();
};

TrainOptions train_options(const Settings& settings) {
  TrainOptions o;
  o.task = settings.text("task");
  o.run = settings.text("run");
  if (o.run.empty()) throw UsageError(Problem{"--run", "", "nothing", "a folder", "give it; see --help"});
  if (o.task == "pinn")
    o.pinn = pinn_task_options(settings);
  else
    o.denoise = denoise_task_options(settings);
  o.init = settings.text("init");
  o.steps = settings.integer("steps");
  o.batch = static_cast<int>(settings.integer("batch"));
  o.accumulate = static_cast<int>(settings.integer("accumulate"));
  o.learning_rate = settings.number("rate");
  o.warm_up = settings.integer("warm-up");
  o.cosine = settings.text("schedule") == "cosine";
  o.weight_decay = settings.number("weight-decay");
  o.average = settings.number("average");
  o.bf16 = !settings.flag("float32");
  o.channels_last = settings.flag("channels-last");
  o.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  o.validate_every = settings.integer("validate-every");
  o.validation_examples = static_cast<int>(settings.integer("validation-examples"));
  o.save_every = settings.integer("save-every");
  o.best = settings.flag("best");
  o.patience = settings.integer("patience");
  o.device = settings.text("device");
  o.threads = static_cast<int>(settings.integer("threads"));
  o.mpi_library = mpi_library_path();
  o.nccl_library = nccl_library_path();
  const BuildInfo build = build_info();
  o.provenance = {build.version, build.commit, own_command()};
  return o;
}

int run(const Settings& settings) {
  TrainOptions o = train_options(settings);
  const TrainApi& trainer = load_train_library();
  // Only now: a signal while LibTorch is loading should end the program.
  for (const int number : {SIGINT, SIGTERM, SIGUSR1}) std::signal(number, on_signal);
  o.stop = [] { return asked_to_end != 0; };
  Reporter report(settings.number("report-every"));
  std::int64_t step = -1;
  const TrainEnd end = trainer.train(o, [&](const TrainProgress& p) {
    step = p.step;
    report(p);
  });
  const std::string at = step < 0 ? "" : " after step " + std::to_string(step);
  if (step >= 0 || end != TrainEnd::stopped)
    report.print(end == TrainEnd::finished ? "cryored train: finished" + at + "; see " + o.run + "/curves.html"
                 : end == TrainEnd::patience
                     ? "cryored train: ended early" + at + ", no better validation for --patience"
                     : "cryored train: stopped" + at +
                           ", checkpoint written; the same command "
                           "goes on from there",
                 true);
  if (end == TrainEnd::stopped && asked_to_end != 0) {
    std::signal(asked_to_end, SIG_DFL);
    raise(asked_to_end);
  }
  return 0;
}

}  // namespace

Command train_command() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "cryored train";
  spec.summary = "train a network: resumable, on one process or several";
  spec.details =
      "RUN holds checkpoint.pt, log.jsonl, curves.html and curves.json, the weights (denoiser.crw; of the task "
      "pinn, pinn.crw) and their model card (denoiser.md, pinn.md). A run that exists goes on from its checkpoint. "
      "SIGINT, SIGTERM and SIGUSR1 (for mpirun: docs/training.md) end it with a checkpoint, a second one at once. "
      "Options that decide the result must be those that "
      "the run began with; --steps, --weight-decay, --accumulate, --validate-every, --save-every, --patience, "
      "--channels-last, --device, --threads and --report-every may change.";
  spec.options = {
      tool_option(
          "task", choice, "TASK", "denoise",
          "what is trained: denoise, on half-maps and their truth; pinn, phase retrieval on simulated exposures "
          "(docs/image_formation.md)"),
      tool_option("run", path, "DIR", "", "folder of this run (required)"),
      tool_option("init", path, "FILE", "",
                  "weights file (.crw) to start from instead of random weights; its architecture must be that of "
                  "--levels, --width and the like, but --mask-head may begin, and its voxel size need not be that of "
                  "the pairs"),
      tool_option("steps", integer, "N", "10000", 1, 1e9, "steps in all, over all resumptions"),
      tool_option("batch", integer, "N", "2", 1, 65536, "examples a step, those of all ranks together"),
      tool_option("accumulate", integer, "N", "1", 1, 65536,
                  "compute a step's gradient in N parts one after the other: less memory, the same result"),
      tool_option("rate", number, "R", "0.001", 1e-8, 1, "peak learning rate"),
      tool_option("warm-up", integer, "N", "200", 0, 1e9, "steps in which the rate rises to its peak"),
      tool_option("schedule", choice, "S", "cosine", "cosine, down to 1 % of the peak at the last step, or constant"),
      tool_option("weight-decay", number, "D", "0.0001", 0, 1, "weight decay of AdamW"),
      tool_option("average", number, "D", "0.999", 0, 0.999999,
                  "decay of the moving average of the weights, which is what is validated and kept"),
      tool_option("seed", integer, "N", "1", 0, 1e15, "seed of the batches and the initial weights"),
      tool_option("validate-every", integer, "N", "500", 1, 1e9, "steps between validations, each with a checkpoint"),
      tool_option("validation-examples", integer, "N", "48", 1, 1e6, "examples of a validation"),
      tool_option("save-every", integer, "N", "0", 0, 1e9, "steps between further checkpoints, 0: none"),
      tool_option("best", flag, "", "yes",
                  "keep the weights of the best validation (mean gain of the FSC to the truth less "
                  "what the worst shell loses), not of the last; with --init those it started from count too"),
      tool_option("patience", integer, "N", "0", 0, 1e9,
                  "stop early, after N validations without a better one; 0: never"),
      tool_option("float32", flag, "", "no", "no mixed precision"),
      tool_option("channels-last", flag, "", "no", "channels innermost in memory"),
      tool_option("device", device, "D", "auto",
                  "auto, cpu, cuda or cuda:N; with several ranks cuda gives each its own"),
      tool_option("threads", integer, "N", "0", 0, 1024, "CPU threads of each rank, 0: its share of the processors"),
      tool_option("report-every", number, "S", "10", 0, 1e6, "seconds between lines of progress"),
  };
  const auto tasks = task_option_specs();
  spec.options.insert(spec.options.begin() + 1, tasks.begin(), tasks.end());
  for (auto& option : spec.options) {
    if (option.name == "task") option.choices = {"denoise", "pinn"};
    if (option.name == "schedule") option.choices = {"cosine", "constant"};
  }
  return {"train", spec, run};
}

}  // namespace cryored
