// cryored phase: the CTF's effect taken out of particle images.

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "cli/clock_text.hpp"
#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/installation.hpp"
#include "cli/network_options.hpp"
#include "cli/phase_library.hpp"
#include "cli/run_program.hpp"
#include "cli/signals.hpp"
#include "cli/threads.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "preprocessing/phase/filters.hpp"
#include "preprocessing/phase/run.hpp"

namespace cryored {
namespace {

std::string input_of(const Settings& settings) {
  if (settings.has("i") == settings.has("in_parts"))
    throw UsageError(Problem{"cryored phase", "input", settings.has("i") ? "--i and --in_parts" : "none",
                             "--i particles.star (or --in_parts, as RELION's External jobs name it)", ""});
  return settings.text(settings.has("i") ? "i" : "in_parts");
}

int threads_of(const Settings& settings, const RankPlace& place) {
  if (settings.has("j") && settings.has("threads"))
    throw UsageError(Problem{"cryored phase", "threads", "--j and --threads", "one of them", ""});
  if (settings.has("j")) return static_cast<int>(settings.integer("j"));
  if (settings.has("threads")) return static_cast<int>(settings.integer("threads"));
  return share_of_processors(place.local_size);
}

struct ChosenMethod {
  std::unique_ptr<PhaseMethod> method;
  CtfState ctf;
};

ChosenMethod method_of(const Settings& settings, int threads) {
  const std::string name = settings.text("method");
  if (name == "lowpass") return {make_lowpass({settings.number("lowpass")}, threads), CtfState::as_before};
  if (name == "flip") return {make_flip(threads), CtfState::flipped};
  if (name == "iterative" || name == "tv" || name == "pinn") {
    const DeviceChoice device = choose_device(settings.text("device"), survey_gpus());
    // Before LibTorch is loaded, which takes longer.
    const std::string weights = name == "pinn" ? phase_weights_in_force(settings) : "";
    const PhaseApi& api = load_phase_library();
    if (name == "pinn")
      return {api.make_pinn(weights, precision_in_force(settings), device, threads), CtfState::corrected};
    const int rounds = static_cast<int>(settings.integer("iterations"));
    if (name == "tv")
      return {api.make_tv({rounds, settings.number("tv-strength")}, device, threads), CtfState::corrected};
    return {api.make_iterative({rounds, settings.number("iterative-resolution")}, device, threads),
            CtfState::corrected};
  }
  return {make_wiener({settings.number("wiener-snr"), settings.number("wiener-b")}, threads), CtfState::corrected};
}

/// One line that is written over on a terminal; a line every 15 s elsewhere (RELION's run.out).
class ProgressLine {
 public:
  void operator()(const PhaseProgress& p) {
    const bool terminal = isatty(STDERR_FILENO) == 1, last = p.done == p.total;
    if ((p.done == shown_ && p.waits_for.empty()) ||
        (!terminal && (!last || !p.waits_for.empty()) && shown_ != kNever && p.seconds < next_))
      return;
    shown_ = p.done;
    next_ = p.seconds + 15;
    const double rate = static_cast<double>(p.done - p.before) / std::max(p.seconds, 1e-3);
    std::string text = "cryored: " + std::to_string(p.done) + " of " + std::to_string(p.total) + " particles";
    if (p.done > p.before) {
      char part[40];
      std::snprintf(part, sizeof part, ", %.0f per second", rate);
      text += part;
      if (!last) text += ", " + clock_text(static_cast<double>(p.total - p.done) / rate) + " left";
    } else if (p.before > 0) {
      text += " done before";
    }
    if (!p.waits_for.empty()) text += "; waits for " + p.waits_for;
    std::cerr << (terminal ? "\r\x1b[K" : "") << text << (terminal && !last ? "" : "\n") << std::flush;
  }

 private:
  static constexpr std::size_t kNever = static_cast<std::size_t>(-1);
  std::size_t shown_ = kNever;
  double next_ = 0;
};

const char* advice(CtfState state, bool optics) {
  switch (state) {
    case CtfState::as_before:
      return "run RELION with --ctf, as for the raw images";
    case CtfState::flipped:
      return "run RELION with --ctf --ctf_phase_flipped";
    default:
      // RELION looks for the flag in data_optics only.
      return optics ? "run RELION without --ctf (RELION 5 sees rlnCtfDataAreCtfCorrected by itself)"
                    : "run RELION without --ctf, RELION 5 too: it would correct the CTF once more";
  }
}

int run(const Settings& settings) {
  PhaseRunOptions options;
  options.input = input_of(settings);
  options.output = settings.text("o");
  if (options.output.empty())
    throw UsageError(Problem{"cryored phase", "--o", "none", "a folder for the results", "give --o Phase/job001/"});
  options.program_version = build_info().version;
  options.dose = settings.number("dose");
  if (settings.has("particle-diameter")) options.particle_diameter = settings.number("particle-diameter");
  options.raw_names = settings.flag("raw-names");
  options.skip_bad = settings.flag("skip-bad");
  options.fresh = settings.flag("fresh");
  options.place = rank_place([&](const std::string& name) { return settings.surroundings.variable(name); });
  options.rank_timeout = settings.number("rank-timeout");
  options.progress = ProgressLine();
  const int threads = threads_of(settings, options.place);
  set_threads(threads);
  const ChosenMethod chosen = method_of(settings, threads);
  options.ctf = chosen.ctf;
  remove_temporary_files_on_signal({(std::filesystem::path(options.output) / "particles.star").string()});

  const PhaseRunResult result = run_phase(options, *chosen.method);
  if (options.place.rank != 0) return 0;
  if (result.aborted) {
    std::cout << "cryored: stopped because RELION asked for it; the same command goes on\n";
    return 1;
  }
  for (std::size_t i = 0; i < result.skipped.size() && i < 10; ++i)
    std::cerr << "cryored: warning: skipped: " << result.skipped[i] << "\n";
  if (result.skipped.size() > 10)
    std::cerr << "cryored: warning: " << result.skipped.size() << " particles skipped in all, see skipped.txt\n";
  std::cout << "cryored: " << result.star << ": " << result.particles << " particles, " << chosen.method->description()
            << "\ncryored: " << advice(options.ctf, result.optics) << "\n";
  if (settings.text("method") == "pinn")
    std::cout << "cryored: hardly any background is left, of which RELION warns: give it --dont_check_norm\n";
  return 0;
}

}  // namespace

Command phase_command() {
  CommandSpec spec;
  spec.program = "cryored phase";
  spec.summary = "phases (images without the CTF's effect) of particles";
  spec.details =
      "Reads a particle STAR file of RELION 3.0 to 5, works through its images in pieces, and writes into the output "
      "folder a stack for each optics group (phases_N.mrcs) and particles.star, which RELION runs; the raw images stay "
      "named in rlnReconstructImageName. Contrast and normalisation are RELION's: matter bright, background mean 0 and "
      "SD 1 (less where a method leaves hardly any).\n\n"
      "Several ranks (mpirun -n 8 cryored phase ..., or srun) share the work. A run that was killed goes on where it "
      "was when the same command is given again. Neither changes a bit of the result. It serves as the executable of "
      "RELION's External jobs.\n\n"
      "docs/phase.md tells which of RELION's options go with which method, and what these images are good for.";
  const auto option = [](const char* name, OptionKind kind, const char* metavar, const char* value, const char* help) {
    return tool_option(name, kind, metavar, value, help);
  };
  const auto number = [](const char* name, const char* metavar, const char* value, double low, double high,
                         const char* help) {
    return tool_option(name, OptionKind::number, metavar, value, low, high, help);
  };
  OptionSpec method =
      option("method", OptionKind::choice, "M", "wiener",
             "lowpass: a low-pass filter; flip: the sign of the CTF; wiener: Wiener filter; iterative: alternating "
             "projections; tv: those with total variation; pinn: a network with the physics of the microscope in it");
  method.choices = {"lowpass", "flip", "wiener", "iterative", "tv", "pinn"};
  spec.options = {
      option("i", OptionKind::path, "STAR", "", "particles; the names in it count from the working directory"),
      option("in_parts", OptionKind::path, "STAR", "", "the same, as RELION's External jobs say it"),
      option("o", OptionKind::path, "FOLDER", "", "where the results go; made if need be"),
      method,
      number("lowpass", "A", "16", 1, 1000, "resolution of lowpass"),
      number("wiener-snr", "R", "10", 1e-6, 1e6,
             "wiener: spectral signal-to-noise ratio at zero frequency, before the CTF"),
      number("wiener-b", "A2", "100", 0, 1e5, "wiener: its fall, exp(-B k^2 / 2)"),
      tool_option("iterations", OptionKind::integer, "N", "3", 1, 10000, "iterative, tv: rounds"),
      number("iterative-resolution", "A", "3", 1, 1000, "iterative: detail finer than this is left out in each round"),
      number("tv-strength", "S", "0.5", 0, 1e4, "tv: weight of the total variation, in units of the phase's noise"),
      number("dose", "E", "40", 0.01, 1e4,
             "electrons per A^2 that an image was taken with; methods that model the wave need it, because the "
             "normalisation of the images has removed it (iterative, tv, pinn)"),
      number("particle-diameter", "A", "", 1, 1e5,
             "circle beyond which a pixel is background; without it three quarters of the box"),
      option("raw-names", OptionKind::flag, "", "yes",
             "name the raw images in rlnReconstructImageName; RELION takes those for the last iteration of an "
             "auto-refinement, so leave them out where that must run without --ctf"),
      option("skip-bad", OptionKind::flag, "", "no",
             "report bad particles (also in skipped.txt) and leave them out, instead of stopping at the first"),
      number("rank-timeout", "SECONDS", "300", 5, 1e6,
             "with several ranks: how long one may be late, or give no sign of life, until the job ends with an error"),
      option("fresh", OptionKind::flag, "", "no", "drop what an unfinished run has left in the folder, begin anew"),
      option("weights", OptionKind::path, "FILE", "",
             "pinn: its weights, a file or the name of one that cryored weights lists; without it phase-general, "
             "which is shipped"),
      precision_option(),
      device_option(),
      tool_option("j", OptionKind::integer, "N", "", 1, 1024, "threads, as RELION's External jobs say it"),
      threads_option()};
  return {"phase", spec, run};
}

}  // namespace cryored
