#include "cli/reconstruct_run.hpp"

#include <filesystem>

#include "cli/network_options.hpp"
#include "cli/reconstruct_record.hpp"
#include "cli/reconstruct_state.hpp"
#include "cli/signals.hpp"
#include "cli/threads.hpp"
#include "core/base/error.hpp"
#include "core/base/output_path.hpp"
#include "core/fourier/fft.hpp"
#include "core/reconstruct/gpu.hpp"

namespace cryored {
namespace {

int choose_threads(const ReconstructRun& run) {
  if (run.settings.has("threads")) return static_cast<int>(run.settings.integer("threads"));
  if (run.place.threads > 0) return run.place.threads;
  // The final joined map of an auto-refinement: no half, and the only map with a half-map FSC.
  bool has_fsc = false;
  for (std::size_t s = 1; s < run.request.fsc.size(); ++s) has_fsc = has_fsc || run.request.fsc[s] != 0;
  const std::string ranks = run.settings.surroundings.variable("CRYORED_LOCAL_RANKS");
  return share_of_processors(concurrent_runs(run.request.half, run.request.half == 0 && has_fsc, ranks));
}

// Weights and device are looked at in every run that may ever need them, lambda 0 or not: a job
// should not fail in its fifth iteration for what was wrong in the first.
std::unique_ptr<LazyDenoiser> prepare_denoiser(const ReconstructRun& run) {
  const Settings& settings = run.settings;
  if (run.intent.weights.empty()) return nullptr;
  DenoiserOptions options = denoiser_options(settings, run.thread_count);
  options.device = run.requested_device;
  options.memory_limit = run.place.memory_limit;
  return std::make_unique<LazyDenoiser>(run.intent.weights, options, run.place.networks);
}

// With --device cuda the reconstruction itself runs on the GPU, or fails; with auto it does so where the CUDA
// library was built. A GPU that is taken and does not work is an error.
void choose_devices(ReconstructRun& run) {
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

}  // namespace

ReconstructOutcome run_reconstruction(const Settings& settings, const RunPlace& place) {
  ReconstructRun run(settings, place);
  const ReconstructRequest& request = run.request;
  RedOptions& options = run.intent.options;
  for (const std::string& output : {request.result, request.result_star})
    refuse_input_as_output({request.star_path, request.data_real, request.data_imag, request.weight}, output);
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
