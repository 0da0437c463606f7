#include "cli/reconstruct_run.hpp"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <tuple>

#include "cli/builtin_denoiser.hpp"
#include "cli/network_options.hpp"
#include "cli/signals.hpp"
#include "cli/threads.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/fourier/fft.hpp"
#include "core/reconstruct/cleanup.hpp"
#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/gpu.hpp"
#include "core/reconstruct/reconstruct.hpp"
#include "core/reconstruct/request.hpp"
#include "models/device.hpp"
#include "models/weights_choice.hpp"
#include "models/weights_confidence.hpp"

namespace cryored {
namespace {

/// Seconds of each stage, in order.
class Stages {
 public:
  /// Ends the stage that began with the last call.
  void end(const std::string& name) {
    const auto now = Clock::now();
    add(name, seconds(last_, now));
    last_ = now;
  }
  void add(const std::string& name, double value) { record_[name] = value; }
  double total() const { return seconds(start_, Clock::now()); }
  const Json& record() const { return record_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double>(b - a).count();
  }
  Clock::time_point start_ = Clock::now(), last_ = start_;
  Json record_ = Json::object();
};

std::string number(double value, const char* format) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

Json optional_number(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json();
}

Json request_entry(const ReconstructRequest& request, const Surroundings& around) {
  return {{"star", around.shown(request.star_path)},
          {"job_root", around.shown(request.job_root)},
          {"iteration", request.iteration < 0 ? Json() : Json(request.iteration)},
          {"half", request.half},
          {request.is_body ? "body" : "class", request.class_number},
          {"dimensionality", request.dimensionality},
          {"box", request.box},
          {"current_size", request.current_size},
          {"padding", request.padding},
          {"tau2_fudge", request.tau2_fudge}};
}

Json resolution_entry(const ResolutionFigures& figures) {
  return {{"threshold", figures.threshold},
          {"nominal_A", optional_number(figures.nominal)},
          {"nominal_shell", optional_number(figures.nominal_shell)},
          {"limited_by_cut", figures.limited_by_cut},
          {"fsc_0.5_A", optional_number(figures.half)},
          {"last_above_threshold_A", optional_number(figures.last_above)},
          {"first_shell_below_1_7", figures.first_below_seventh ? Json(*figures.first_below_seventh) : Json()}};
}

/// One run, filled step by step.
struct Run {
  Run(const Settings& in_force, const RunPlace& where)
      : settings(in_force), place(where), intent(intend_reconstruction(in_force)) {}

  const Settings& settings;
  const RunPlace& place;
  RunIntent intent;
  const ReconstructRequest& request = intent.request;
  const ReconstructDecision& decision = intent.decision;
  std::string requested_device = place.device.empty() ? settings.text("device") : place.device;
  Stages stages;
  int thread_count = 1;
  ReconstructReport report;
  std::unique_ptr<LazyDenoiser> denoiser;  ///< present whenever the options ask for one, loaded or not
  DeviceChoice device_choice;              ///< what --device led to; meaningful with `denoiser` or `gpu`
  std::optional<int> gpu;                  ///< where B and K become maps; none: the CPU
  std::string device;                      ///< "CPU (2 threads)"
  std::optional<CleanupReport> cleanup;    ///< with --cleanup
};

int choose_threads(const Run& run) {
  if (run.settings.has("threads")) return static_cast<int>(run.settings.integer("threads"));
  if (run.place.threads > 0) return run.place.threads;
  // The final joined map of an auto-refinement: no half, and the only map with a half-map FSC.
  bool has_fsc = false;
  for (std::size_t s = 1; s < run.request.fsc.size(); ++s) has_fsc = has_fsc || run.request.fsc[s] != 0;
  const std::string ranks = run.settings.surroundings.variable("CRYORED_LOCAL_RANKS");
  return share_of_processors(concurrent_runs(run.request.half, run.request.half == 0 && has_fsc, ranks));
}

RedOptions red_options(const Settings& settings) {
  RedOptions options;
  const std::string& prior = settings.text("prior");
  options.prior = prior == "gaussian" ? RedOptions::Prior::gaussian
                  : prior == "red"    ? RedOptions::Prior::red
                                      : RedOptions::Prior::cw_red;
  const std::string& confidence = settings.text("confidence");
  if (options.prior != RedOptions::Prior::gaussian && !confidence.empty())
    options.prior = confidence == "red" ? RedOptions::Prior::red : RedOptions::Prior::cw_red;
  options.lambda = settings.optional_number("lambda");
  std::tie(options.range_low, options.range_high) = settings.range("confidence-range");
  options.fsc_threshold = settings.number("fsc-threshold");
  options.symmetry = settings.text("symmetry");
  options.pixel_size = settings.optional_number("pixel-size");
  options.denoise_joined = settings.flag("denoise-joined");
  options.gridding.skip_gridding = settings.flag("skip-gridding");
  const std::string& guard = settings.text("guard");
  options.guard.mode = guard == "limit"    ? GuardOptions::Mode::limit
                       : guard == "report" ? GuardOptions::Mode::report
                                           : GuardOptions::Mode::off;
  options.guard.bound = settings.number("guard-bound");
  options.guard.fsc_level = settings.number("guard-level");
  return options;
}

std::string prior_text(const Run& run) {
  const std::string &prior = run.settings.text("prior"), &confidence = run.settings.text("confidence");
  if (prior == "auto" && confidence.empty()) return run.intent.options.per_shell ? "per-shell" : "cw-red";
  return (prior == "auto" ? "RED" : prior) + (confidence.empty() ? "" : ", confidence " + confidence);
}

/// Where lambda comes from, in one word.
std::string confidence_name(const Run& run) {
  if (run.intent.options.lambda) return "fixed";
  if (run.intent.options.per_shell) return "per-shell";
  return run.intent.options.prior == RedOptions::Prior::red ? "red" : "cw";
}

/// "lambda 0.571", or with a lambda for each shell "lambda 1.00 at 20 A, 0.42 at 10 A".
std::string lambda_text(const Run& run) {
  if (!run.decision.confidence.by_shell) return "lambda " + number(run.decision.confidence.lambda, "%.3f");
  std::string text;
  for (const double resolution : {20.0, 15.0, 12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0}) {
    const auto shell = std::lround(run.request.box * run.decision.pixel_size / resolution);
    if (shell < 1 || shell > run.report.last_denoised_shell) continue;
    text += (text.empty() ? "lambda " : ", ") + number(run.report.lambda[static_cast<std::size_t>(shell)], "%.2f") +
            " at " + number(resolution, "%g A");
  }
  return text.empty() ? "lambda " + number(run.decision.confidence.lambda, "%.3f") + " in the mean" : text;
}

// Weights and device are looked at in every run that may ever need them, lambda 0 or not: a job
// should not fail in its fifth iteration for what was wrong in the first.
std::unique_ptr<LazyDenoiser> prepare_denoiser(const Run& run) {
  const Settings& settings = run.settings;
  if (run.intent.weights.empty()) return nullptr;
  DenoiserOptions options = denoiser_options(settings, run.thread_count);
  options.device = run.requested_device;
  options.memory_limit = run.place.memory_limit;
  return std::make_unique<LazyDenoiser>(run.intent.weights, options, run.place.networks);
}

// With --device cuda the reconstruction itself runs on the GPU, or fails; with auto it does so where the CUDA
// library was built. A GPU that is taken and does not work is an error.
void choose_devices(Run& run) {
  const std::string& request = run.requested_device;
  const bool library = !gpu::library_path().empty();
  const bool automatic = run.settings.text("device") == "auto";                // also where a daemon has chosen for it
  if (!run.denoiser && (request == "cpu" || (automatic && !library))) return;  // no need to ask the driver
  run.device_choice = choose_device(request, request == "cpu" ? GpuSurvey{} : survey_gpus());
  if (!run.device_choice.cuda || (automatic && !library)) return;
  gpu::require(run.device_choice.gpu.index);
  run.gpu = run.device_choice.gpu.index;
}

// RELION reads the result STAR whenever it exists, so one of an earlier run must not survive.
bool remove_stale_result_star(const ReconstructRequest& request) {
  std::error_code error;
  const bool removed = std::filesystem::remove(request.result_star, error);
  if (error)
    throw SystemError(Problem{request.result_star, "rlnExtReconsResultStarfile of an earlier run", error.message(),
                              "a file that can be removed", "remove it: RELION would read it"});
  return removed;
}

// Why the denoiser did not run, in the user's own words where an option decided.
std::string reason(const Run& run) {
  if (run.report.denoiser_ran) return "";
  return run.settings.text("prior") == "gaussian" ? "--prior gaussian" : run.decision.why_not;
}

Json guard_entry(const Run& run) {
  const GuardReport& guard = run.report.guard;
  Json entry{{"mode", run.settings.text("guard")}, {"ran", guard.ran}, {"reason", guard.why_not}};
  if (!guard.ran) return entry;
  entry["bound"] = run.settings.number("guard-bound");
  entry["level"] = run.settings.number("guard-level");
  entry["first_random_shell"] = guard.first_shell;
  entry["denoiser_passes"] = guard.passes;
  entry["input_fsc"] = guard.input_fsc;
  entry["output_fsc"] = guard.output_fsc;
  entry["created"] = guard.created;
  entry["lambda_factor"] = guard.lambda_factor;
  entry["worst_shell"] = guard.worst_shell;
  return entry;
}

/// For RELION's log: what exceeds --guard-bound, else empty.
std::string guard_warning(const Run& run) {
  const GuardReport& guard = run.report.guard;
  if (!guard.ran || guard.worst_shell == 0) return "";
  const double created = guard.created[static_cast<std::size_t>(guard.worst_shell)];
  if (created <= run.settings.number("guard-bound")) return "";
  return "; warning: by itself the denoiser creates " + number(100 * created, "%.0f %%") + " of its output in shell " +
         std::to_string(guard.worst_shell) + " (" +
         number(run.request.box * run.decision.pixel_size / guard.worst_shell, "%.1f A") +
         (run.settings.text("guard") == "limit" ? "), lambda lowered there" : "), see --guard limit");
}

Json denoiser_entry(const Run& run) {
  const ReconstructDecision& decision = run.decision;
  Json entry{{"ran", run.report.denoiser_ran},
             {"reason", reason(run)},
             {"confidence", run.denoiser ? Json(confidence_name(run)) : Json()},
             {"lambda", decision.confidence.lambda},
             {"lambda_from", decision.confidence.source},
             {"rule", decision.plan.rule},
             {"result_is_denoised", run.report.denoiser_ran && decision.plan.result_is_denoised},
             {"symmetry", decision.symmetry.name},
             {"symmetry_from", decision.symmetry_source}};
  if (!run.report.denoiser_ran) return entry;
  entry["guard"] = guard_entry(run);
  entry["lambda_per_shell"] = run.report.lambda;
  entry["last_denoised_shell"] = run.report.last_denoised_shell;
  if (const BlockDenoiser* network = run.denoiser->loaded()) {
    const auto& pass = network->last_pass();
    entry["blocks"] = {{"count", pass.blocks}, {"edge", pass.block}, {"overlap", pass.overlap}, {"batch", pass.batch}};
  }
  return entry;
}

Json weights_entry(const Run& run) {
  if (!run.denoiser) return nullptr;
  const WeightsInfo& info = run.denoiser->weights();
  return {{"path", run.settings.surroundings.shown(info.path)},
          {"name", info.name},
          {"architecture", is_builtin(info.path) ? "none, for tests" : info.architecture.name()},
          {"voxel_size_A", info.voxel_size},
          {"sha256", info.sha256}};
}

Json cleanup_entry(const std::optional<CleanupReport>& cleanup) {
  if (!cleanup) return nullptr;
  return {{"kept_from_iteration", cleanup->kept_from < 0 ? Json() : Json(cleanup->kept_from)},
          {"removed", cleanup->removed},
          {"bytes", cleanup->bytes},
          {"notes", cleanup->notes}};
}

Json make_record(const Run& run, bool removed_star) {
  const ReconstructRequest& request = run.request;
  const Surroundings& around = run.settings.surroundings;
  Json record = start_record(around);
  record["program"]["torch"] = run.report.denoiser_ran && !is_builtin(run.denoiser->weights().path)
                                   ? Json(DenoiseLibrary::load().torch_version())
                                   : Json();
  record["served_by"] = run.place.served_by;
  record["request"] = request_entry(request, around);
  record["inputs"] = Json::array();
  for (const auto* path : {&request.star_path, &request.data_real, &request.data_imag, &request.weight})
    record["inputs"].push_back(file_entry(*path, around));
  record["options"] = options_entry(run.settings);
  record["pixel_size"] = {{"A", run.decision.pixel_size > 0 ? Json(run.decision.pixel_size) : Json()},
                          {"source", around.shown(run.decision.pixel_size_source)}};
  record["resolution"] = resolution_entry(run.decision.resolution);
  record["denoiser"] = denoiser_entry(run);
  record["weights"] = weights_entry(run);
  record["device"] = {{"name", run.device}, {"threads", run.thread_count}};
  record["device"]["reconstruction"] = run.gpu ? "GPU " + std::to_string(*run.gpu) : "CPU";
  if (run.denoiser || run.gpu) record["device"]["choice"] = run.device_choice.text;
  record["result"] = file_entry(run.report.result, around);
  record["result"]["sha256"] = sha256_file(run.report.result);
  record["result"]["removed_stale_result_star"] = removed_star;
  record["beside"] = run.report.beside.empty() ? Json() : file_entry(run.report.beside, around);
  record["cleanup"] = cleanup_entry(run.cleanup);
  record["timings_s"] = run.stages.record();
  record["timings_s"]["total"] = run.stages.total();
  return record;
}

std::string cleanup_text(const Run& run) {
  if (!run.cleanup || (run.cleanup->removed.empty() && run.cleanup->notes.empty())) return "";
  std::string text = "; removed " + std::to_string(run.cleanup->removed.size()) +
                     " input files of earlier iterations (" +
                     number(static_cast<double>(run.cleanup->bytes) / 1e9, "%.2f GB") + ")";
  if (!run.cleanup->notes.empty()) text += ", left " + run.cleanup->notes.front();
  return text;
}

std::string log_line(const Run& run) {
  const auto& nominal = run.decision.resolution.nominal;
  const std::string resolution = nominal && std::isfinite(*nominal) ? "nominal resolution " + number(*nominal, "%.2f A")
                                                                    : std::string("no nominal resolution");
  const std::string total = number(run.stages.total(), "%.2f s");
  std::string line = "cryored: " + map_name(run.request) + ": ";
  if (!run.report.denoiser_ran)
    return line + "denoiser did not run (" + reason(run) + "), Gaussian prior on " + run.device + ", " + resolution +
           ", " + total + cleanup_text(run);
  line += "denoiser ran on " + run.device + ", " + prior_text(run) + ", " + lambda_text(run) + ", " + resolution +
          ", " + total + " (denoiser " + number(run.denoiser->load_seconds() + run.denoiser->pass_seconds(), "%.2f s") +
          ")";
  if (!run.report.beside.empty())
    line += run.decision.plan.result_is_denoised ? "" : "; result is the Wiener map, the denoised one lies beside it";
  return line + guard_warning(run) + cleanup_text(run);
}

}  // namespace

std::string map_name(const ReconstructRequest& request) {
  std::string name = std::filesystem::path(request.star_path).filename().string();
  const auto ending = name.find("_external_reconstruct.star");
  return ending == std::string::npos ? name : name.substr(0, ending);
}

RunIntent intend_reconstruction(const Settings& settings) {
  RunIntent intent;
  intent.request = read_request(settings.arguments.at(0), settings.surroundings.folder);
  intent.options = red_options(settings);
  intent.decision = decide(intent.request, intent.options);
  if (!intent.decision.plan.denoise) return intent;
  const std::vector<WeightsInfo> denoisers = denoisers_in_force(settings);
  const WeightsInfo& denoiser =
      choose_denoiser(denoisers, intent.decision.resolution.nominal, intent.decision.pixel_size);
  intent.weights = denoiser.path;
  const std::string &prior = settings.text("prior"), &confidence = settings.text("confidence");
  const bool per_shell = confidence == "per-shell" || (confidence.empty() && prior == "per-shell");
  const bool automatic = confidence.empty() && prior == "auto";
  if (intent.options.lambda || !(per_shell || automatic)) return intent;
  // A table is a part of its weights. One that is missing must end the first iteration, not the fifth, which may take
  // other weights.
  if (per_shell)
    for (const WeightsInfo& each : denoisers) confidence_of(each);
  if (!denoiser.confidence) return intent;
  intent.options.per_shell = denoiser.confidence;
  intent.decision = decide(intent.request, intent.options);
  return intent;
}

ReconstructOutcome run_reconstruction(const Settings& settings, const RunPlace& place) {
  Run run(settings, place);
  const ReconstructRequest& request = run.request;
  RedOptions& options = run.intent.options;
  const std::string record_file = record_path(request.result);
  run.thread_count = choose_threads(run);
  const ThreadsHere threads_here(run.thread_count);
  if (place.alone) {
    remove_temporary_files_on_signal({request.result, run.decision.plan.beside, record_file});
    set_threads(run.thread_count);
  }
  run.denoiser = prepare_denoiser(run);
  choose_devices(run);
  options.gridding.gpu = run.gpu;
  run.stages.end("prepare");

  const RequestArrays arrays = open_arrays(request);
  run.stages.end("read");
  run.report = reconstruct(request, arrays, options, run.decision, run.denoiser.get());
  for (const auto& [name, seconds] : run.report.seconds) run.stages.add(name, seconds);
  run.device = "CPU (" + std::to_string(run.thread_count) + (run.thread_count == 1 ? " thread)" : " threads)");
  if (run.report.denoiser_ran) {
    run.stages.add("denoiser_load", run.denoiser->load_seconds());
    run.stages.add("denoiser_pass", run.denoiser->pass_seconds());
  }
  if (run.gpu || (run.report.denoiser_ran && run.device_choice.cuda)) run.device = run.device_choice.text;
  const bool removed_star = remove_stale_result_star(request);
  // Only now that the map is in place: a run that failed leaves everything for another attempt.
  if (settings.flag("cleanup")) run.cleanup = remove_finished_inputs(request);
  const Json record = make_record(run, removed_star);
  write_record(record_file, record);
  return {record, log_line(run)};
}

}  // namespace cryored
