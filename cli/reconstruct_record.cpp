#include "cli/reconstruct_record.hpp"

#include <cmath>
#include <cstdio>
#include <filesystem>

#include "cli/builtin_denoiser.hpp"
#include "cli/unknown_variables.hpp"
#include "core/base/sha256.hpp"

namespace cryored {
namespace {

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

std::string prior_text(const ReconstructRun& run) {
  if (run.intent.options.lambda) return "RED, confidence fixed";  // no rule chose --lambda
  const std::string &prior = run.settings.text("prior"), &confidence = run.settings.text("confidence");
  if (prior == "auto" && confidence.empty()) return run.intent.options.per_shell ? "per-shell" : "cw-red";
  return (prior == "auto" ? "RED" : prior) + (confidence.empty() ? "" : ", confidence " + confidence);
}

/// Where lambda comes from, in one word.
std::string confidence_name(const ReconstructRun& run) {
  if (run.intent.options.lambda) return "fixed";
  if (run.intent.options.per_shell) return "per-shell";
  return run.intent.options.prior == RedOptions::Prior::red ? "red" : "cw";
}

/// "lambda 0.571", or with a lambda for each shell "lambda 1.00 at 20 A, 0.42 at 10 A, weight of the prior 16".
std::string lambda_text(const ReconstructRun& run) {
  if (!run.decision.confidence.by_shell) return "lambda " + number(run.decision.confidence.lambda, "%.3f");
  std::string text;
  for (const double resolution : {20.0, 15.0, 12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0}) {
    const auto shell = std::lround(run.request.box * run.decision.pixel_size / resolution);
    if (shell < 1 || shell > run.report.last_denoised_shell) continue;
    text += (text.empty() ? "lambda " : ", ") + number(run.report.lambda[static_cast<std::size_t>(shell)], "%.2f") +
            " at " + number(resolution, "%g A");
  }
  if (text.empty()) text = "lambda " + number(run.decision.confidence.lambda, "%.3f") + " in the mean";
  const double weight = run.decision.confidence.prior_weight;
  return weight == 1 ? text : text + ", weight of the prior " + number(weight, "%g");
}

// Why the denoiser did not run, in the user's own words where an option decided.
std::string reason(const ReconstructRun& run) {
  if (run.report.denoiser_ran) return "";
  return run.settings.text("prior") == "gaussian" ? "--prior gaussian" : run.decision.why_not;
}

Json guard_entry(const ReconstructRun& run) {
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
std::string guard_warning(const ReconstructRun& run) {
  const GuardReport& guard = run.report.guard;
  if (!guard.ran || guard.worst_shell == 0) return "";
  const double created = guard.created[static_cast<std::size_t>(guard.worst_shell)];
  if (created <= run.settings.number("guard-bound")) return "";
  return "; warning: by itself the denoiser creates " + number(100 * created, "%.0f %%") + " of its output in shell " +
         std::to_string(guard.worst_shell) + " (" +
         number(run.request.box * run.decision.pixel_size / guard.worst_shell, "%.1f A") +
         (run.settings.text("guard") == "limit" ? "), lambda lowered there" : "), see --guard limit");
}

/// For RELION's log: that the half-maps may agree on what is wrong, else empty.
std::string kept_noise_warning(const ReconstructRun& run) {
  const auto& kept = run.report.kept_noise;
  if (!keeps_noise(kept)) return "";
  return "; warning: kept noise " + number(*kept, "%.2f") + " (" + number(kKeptNoiseBound, "%g") +
         " or less where particles are aligned well): the half-maps may agree on what is wrong, their FSC may promise "
         "too much";
}

/// For RELION's log: pixel size and symmetry that a file or a variable has set unseen, and those that contradict the
/// job.
std::string override_text(const ReconstructRun& run) {
  using JobValue = ReconstructDecision::JobValue;
  const ReconstructDecision& decision = run.decision;
  std::string text;
  const auto add = [&](const char* option, const std::string& value, const std::string& source,
                       const std::optional<JobValue>& job) {
    if (!run.settings.has(option)) return;
    if (!job && run.settings.source(option).level == SourceLevel::command_line) return;
    text += std::string(job ? "; warning: " : "; ") + value + " (" + source + ")";
    if (job) text += ", the job says " + job->text + " (" + run.settings.surroundings.shown(job->source) + ")";
  };
  add("pixel-size", "pixel size " + number(decision.pixel_size, "%g A"), decision.pixel_size_source,
      decision.job_pixel_size);
  if (decision.plan.denoise)
    add("symmetry", "symmetry " + decision.symmetry.name, decision.symmetry_source, decision.job_symmetry);
  return text;
}

std::string unknown_variables_warning(const ReconstructRun& run) {
  std::string text;
  for (const std::string& name : unknown_variables(run.settings.surroundings))
    text += "; warning: the variable " + name + " is no option of cryored";
  return text;
}

Json denoiser_entry(const ReconstructRun& run) {
  const ReconstructDecision& decision = run.decision;
  Json entry{{"ran", run.report.denoiser_ran},
             {"reason", reason(run)},
             {"confidence", run.denoiser ? Json(confidence_name(run)) : Json()},
             {"lambda", decision.confidence.lambda},
             {"lambda_from", decision.confidence.source},
             {"prior_weight", decision.confidence.prior_weight},
             {"rule", decision.plan.rule},
             {"result_is_denoised", run.report.denoiser_ran && decision.plan.result_is_denoised},
             {"symmetry", decision.symmetry.name},
             {"symmetry_from", decision.symmetry_source}};
  if (!run.report.denoiser_ran) return entry;
  entry["kept_noise"] = run.report.kept_noise ? Json(*run.report.kept_noise) : Json();
  entry["guard"] = guard_entry(run);
  entry["lambda_per_shell"] = run.report.lambda;
  entry["last_denoised_shell"] = run.report.last_denoised_shell;
  if (const BlockDenoiser* network = run.denoiser->loaded()) {
    const auto& pass = network->last_pass();
    entry["blocks"] = {{"count", pass.blocks}, {"edge", pass.block}, {"overlap", pass.overlap}, {"batch", pass.batch}};
  }
  return entry;
}

Json weights_entry(const ReconstructRun& run) {
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

std::string cleanup_text(const ReconstructRun& run) {
  if (!run.cleanup || (run.cleanup->removed.empty() && run.cleanup->notes.empty())) return "";
  std::string text = "; removed " + std::to_string(run.cleanup->removed.size()) +
                     " input files of earlier iterations (" +
                     number(static_cast<double>(run.cleanup->bytes) / 1e9, "%.2f GB") + ")";
  if (!run.cleanup->notes.empty()) text += ", left " + run.cleanup->notes.front();
  return text;
}

}  // namespace

std::string map_name(const ReconstructRequest& request) {
  std::string name = std::filesystem::path(request.star_path).filename().string();
  const auto ending = name.find("_external_reconstruct.star");
  return ending == std::string::npos ? name : name.substr(0, ending);
}

Json make_record(const ReconstructRun& run, bool removed_star) {
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
  record["unknown_variables"] = unknown_variables(around);
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

std::string log_line(const ReconstructRun& run) {
  const auto& nominal = run.decision.resolution.nominal;
  const std::string resolution = nominal && std::isfinite(*nominal) ? "nominal resolution " + number(*nominal, "%.2f A")
                                                                    : std::string("no nominal resolution");
  const std::string total = number(run.stages.total(), "%.2f s");
  std::string line = "cryored: " + map_name(run.request) + ": ";
  if (!run.report.denoiser_ran)
    return line + "denoiser did not run (" + reason(run) + "), Gaussian prior on " + run.device + ", " + resolution +
           ", " + total + override_text(run) + unknown_variables_warning(run) + cleanup_text(run);
  line += "denoiser ran on " + run.device + ", " + prior_text(run) + ", " + lambda_text(run) + ", " + resolution +
          ", " + total + " (denoiser " + number(run.denoiser->load_seconds() + run.denoiser->pass_seconds(), "%.2f s") +
          ")";
  if (!run.report.beside.empty())
    line += run.decision.plan.result_is_denoised ? "" : "; result is the Wiener map, the denoised one lies beside it";
  if (run.decision.symmetry_unknown)
    line += "; no file of the job names its symmetry, so that the denoiser's output was not averaged (--symmetry)";
  return line + override_text(run) + unknown_variables_warning(run) + kept_noise_warning(run) + guard_warning(run) +
         cleanup_text(run);
}

}  // namespace cryored
