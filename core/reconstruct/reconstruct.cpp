#include "core/reconstruct/reconstruct.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "core/base/checkpoint.hpp"
#include "core/base/error.hpp"
#include "core/formats/mapped_file.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/gaussian.hpp"

namespace cryored {
namespace {

using Choice = RedOptions::Prior;
using Kind = ReconstructPlan::Kind;

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

bool has_fsc(const ReconstructRequest& request) {
  return request.fsc.size() > 1 &&
         std::any_of(request.fsc.begin() + 1, request.fsc.end(), [](double v) { return v != 0; });
}

/// "run_it012_class001_external_reconstruct.mrc" -> "..._external_reconstruct_denoised.mrc".
std::string denoised_path(const std::string& result) {
  const std::size_t slash = result.find_last_of('/');
  const std::size_t dot = result.find_last_of('.');
  const bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash + 1);
  return result.substr(0, has_extension ? dot : std::string::npos) + "_denoised.mrc";
}

Kind kind_of(const ReconstructRequest& request) {
  if (request.dimensionality == 2) return Kind::image;
  if (request.half != 0) return Kind::half_map;
  if (request.iteration < 0) return Kind::other_map;
  return has_fsc(request) ? Kind::joined_map : Kind::class_map;
}

void check_options(const RedOptions& options) {
  if (options.lambda && !(*options.lambda >= 0 && *options.lambda <= 1))
    throw UsageError(Problem{"--lambda", "", short_number(*options.lambda), "a number from 0 (no denoiser) to 1",
                             "leave it away to take lambda from the half-map FSC"});
  confidence_ramp(0, options.range_low, options.range_high);
}

Confidence confidence_by_shell(const ReconstructRequest& request, const ConfidenceTable& table, double nominal,
                               double pixel_size, const std::string& source) {
  Confidence confidence;
  confidence.by_shell = true;
  confidence.prior_weight = table.prior_weight;
  confidence.source = source;
  confidence.per_shell = usable_shells(request, 1, 0);
  double count = 0;
  for (std::size_t s = 0; s < confidence.per_shell.size(); ++s) {
    double& lambda = confidence.per_shell[s];
    if (lambda == 0) continue;
    lambda = table.at(static_cast<double>(s) / (request.box * pixel_size), std::isfinite(nominal) ? 1 / nominal : 0,
                      s < request.fsc.size() ? request.fsc[s] : 0);
    confidence.lambda += lambda;
    ++count;
  }
  if (count > 0) confidence.lambda /= count;
  return confidence;
}

Confidence choose_lambda(const ReconstructRequest& request, const RedOptions& options, const ResolutionFigures& figures,
                         double pixel_size) {
  Confidence confidence;
  const std::string nominal =
      "half-map FSC " + short_number(options.fsc_threshold) +
      (figures.nominal && std::isfinite(*figures.nominal) ? " at " + short_number(*figures.nominal) + " A"
                                                          : " never reached") +
      (figures.limited_by_cut ? " (not crossed up to the current size)" : "");
  if (options.lambda) {
    confidence.lambda = *options.lambda;
    confidence.source = "--lambda";
  } else if (options.per_shell && figures.nominal) {
    return confidence_by_shell(request, *options.per_shell, *figures.nominal, pixel_size,
                               "the weights' table, " + nominal);
  } else if (options.prior == Choice::red && !options.per_shell) {
    confidence.lambda = 1;
    confidence.source = "RED without confidence weighting";
  } else if (!figures.nominal) {
    confidence.source =
        "the half-map FSC is zero in every shell, so that the resolution is unknown: lambda 0 unless --lambda is given";
  } else {
    confidence.lambda = confidence_ramp(*figures.nominal, options.range_low, options.range_high);
    confidence.source =
        nominal + ", range " + short_number(options.range_low) + " to " + short_number(options.range_high) + " A";
  }
  confidence.per_shell = usable_shells(request, 1, 0);
  for (double& value : confidence.per_shell) value *= confidence.lambda;
  return confidence;
}

void find_job_symmetry(const ReconstructRequest& request, ReconstructDecision& decision) {
  if (request.is_body) {  // RELION reconstructs bodies without symmetry
    decision.symmetry_source = "a body has none";
    return;
  }
  const auto group = find_symmetry(request);
  decision.symmetry_source = group ? "the job's files" : "unknown, no file of the job names it: not averaged";
  decision.symmetry_unknown = !group;
  if (group) decision.symmetry = parse_symmetry(*group);
  if (const auto helix = find_helix(request); helix && helix->rise != 0) {
    decision.symmetry.helix = helix;
    decision.symmetry.name += ",twist=" + short_number(helix->twist) + ",rise=" + short_number(helix->rise);
    decision.symmetry_source = "the job's files";
  }
}

bool same_symmetry(const Symmetry& a, const Symmetry& b) {
  // A helix is refined from iteration to iteration.
  constexpr double near = 0.01;
  if (a.rotations != b.rotations || a.helix.has_value() != b.helix.has_value()) return false;
  return !a.helix ||
         (std::abs(a.helix->twist - b.helix->twist) <= near && std::abs(a.helix->rise - b.helix->rise) <= near);
}

void choose_symmetry(const ReconstructRequest& request, const RedOptions& options, ReconstructDecision& decision) {
  if (options.symmetry.empty()) return find_job_symmetry(request, decision);
  decision.symmetry = parse_symmetry(options.symmetry);
  decision.symmetry_source = options.symmetry_source;
  try {
    ReconstructDecision own;
    find_job_symmetry(request, own);
    if (!own.symmetry_unknown && !same_symmetry(own.symmetry, decision.symmetry))
      decision.job_symmetry = {own.symmetry.name, own.symmetry_source};
  } catch (const Error&) {
    // A group that is not known here is why the option was given.
  }
}

void choose_pixel_size(const ReconstructRequest& request, const RedOptions& options, ReconstructDecision& decision) {
  if (!options.pixel_size) {
    try {
      decision.pixel_size = find_pixel_size(request, &decision.pixel_size_source);
    } catch (const InputError&) {
      // The Gaussian path needs none; the map's header then leaves it open.
      if (decision.plan.denoise && options.lambda.value_or(1) > 0) throw;
      decision.pixel_size_source = "not found";
    }
    return;
  }
  if (!(*options.pixel_size > 0) || !std::isfinite(*options.pixel_size))
    throw UsageError(
        Problem{options.pixel_size_source, "", short_number(*options.pixel_size), "a positive number of A", ""});
  decision.pixel_size = *options.pixel_size;
  decision.pixel_size_source = options.pixel_size_source;
  try {
    std::string source;
    const double own = find_pixel_size(request, &source);
    if (std::abs(own - decision.pixel_size) > 1e-3 * own) decision.job_pixel_size = {short_number(own) + " A", source};
  } catch (const Error&) {
    // The job states none, which is why the option was given.
  }
}

/// Seconds of each stage, in order.
class Stages {
 public:
  explicit Stages(std::vector<std::pair<std::string, double>>& seconds) : seconds_(seconds) {}
  void end(const std::string& name) {
    checkpoint();
    const auto now = Clock::now();
    seconds_.emplace_back(name, std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  /// A stage that was timed elsewhere, within the next one to end.
  void add(const std::string& name, double value) {
    seconds_.emplace_back(name, value);
    last_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
  std::vector<std::pair<std::string, double>>& seconds_;
};

/// A denoised map of an earlier run must not lie beside a result that it does not belong to.
void remove_stale_denoised(const ReconstructRequest& request) {
  const std::string path = denoised_path(request.result);
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error)
    throw SystemError(Problem{path, "denoised map of an earlier run", error.message(), "a file that can be removed",
                              "remove it: it does not belong to the new result"});
}

Map denoised_map(const ReconstructRequest& request, const RequestArrays& arrays, const RedOptions& options,
                 Denoiser& denoiser, ReconstructReport& report, Stages& stages) {
  const ReconstructDecision& decision = report.decision;
  RedWeights weights;
  weights.none = fourier_weights(request, arrays, Prior::none, options.gridding);
  stages.end("weights");
  const Map unregularised = unregularised_map(request, arrays, weights.none, options.gridding);
  stages.end("unregularised map");
  const DenoiserPass pass = denoise(request, unregularised, decision.pixel_size, denoiser, decision.symmetry);
  stages.add("denoiser", pass.seconds_denoiser);
  stages.add("symmetry", pass.seconds_symmetry);
  stages.end("resampling");
  report.denoiser_ran = true;
  report.denoiser = denoiser.description();
  report.denoiser_boxes = pass.boxes;
  const auto usable = usable_shells(request, decision.pixel_size, pass.boxes.voxel_size);
  for (std::size_t s = 0; s < usable.size(); ++s) report.lambda[s] *= usable[s];
  std::vector<double> seen = request.fsc;  // beyond its Nyquist frequency the denoiser returns its input
  for (std::size_t s = 0; s < seen.size(); ++s) seen[s] *= s < usable.size() ? usable[s] : 0;
  {
    const HalfTransform given = forward(as_seen(request, unregularised));  // one map copied at a time
    report.kept_noise =
        kept_noise(seen, fsc(given, forward(as_seen(request, pass.denoised))), decision.plan.kind == Kind::joined_map);
  }
  if (options.guard.mode != GuardOptions::Mode::off) {
    int last = 0;
    for (std::size_t s = 0; s < usable.size(); ++s)
      if (report.lambda[s] > 0) last = static_cast<int>(s);
    // The copies too are of the map as the denoiser sees it: else the corners' power would be spread over the molecule.
    const auto one_pass = [&](const Map& seen_map) {
      const Map map = as_reconstructed(request, seen_map);
      return as_seen(request, denoise(request, map, decision.pixel_size, denoiser, decision.symmetry).denoised);
    };
    report.guard = created_agreement(as_seen(request, unregularised), as_seen(request, pass.denoised), request.fsc,
                                     last, one_pass, options.guard);
    for (std::size_t s = 0; s < usable.size(); ++s) report.lambda[s] *= report.guard.lambda_factor[s];
    stages.end("guard");
  }
  for (std::size_t s = 0; s < usable.size(); ++s) {
    if (report.lambda[s] > 0) report.last_denoised_shell = static_cast<int>(s);
  }
  weights.tau2 = weights_with_prior(request, arrays, report.lambda, decision.confidence.prior_weight, options.gridding);
  const HalfBall ball = weights.tau2.ball;
  const BallSpectrum spectrum =
      red_spectrum(request, arrays, std::move(weights), unregularised, pass.denoised, report.lambda);
  Map map = finish(request, ball, spectrum, options.gridding);
  stages.end("reconstruction");
  return map;
}

}  // namespace

ReconstructPlan plan_for(const ReconstructRequest& request, const RedOptions& options) {
  ReconstructPlan plan;
  plan.kind = kind_of(request);
  plan.denoise = options.prior != Choice::gaussian && plan.kind != Kind::image;
  switch (plan.kind) {
    case Kind::image:
      plan.rule = "2D reference: the denoiser is three-dimensional, so the Gaussian prior is used";
      break;
    case Kind::half_map:
      plan.rule = request.is_body ? "half-map of a body: treated as any half-map" : "half-map";
      break;
    case Kind::class_map:
      plan.rule = "Class3D: no half-map FSC, lambda 0 unless --lambda is given or the prior is red";
      break;
    case Kind::other_map:
      plan.rule = "the file name does not follow RELION's pattern: treated as a half-map";
      break;
    case Kind::joined_map:
      plan.rule = "final joined map: ";
      if (!plan.denoise) {
        plan.rule += "Gaussian prior";
      } else if (options.denoise_joined) {
        plan.rule += "denoised, as asked";
      } else {
        plan.rule += "the result is the Wiener map, the denoised one is saved beside it";
        plan.beside = denoised_path(request.result);
      }
      break;
  }
  plan.result_is_denoised = plan.denoise && plan.beside.empty();
  return plan;
}

ReconstructDecision decide(const ReconstructRequest& request, const RedOptions& options) {
  check_options(options);
  ReconstructDecision decision;
  decision.plan = plan_for(request, options);
  choose_pixel_size(request, options, decision);
  if (decision.pixel_size > 0)
    decision.resolution =
        resolution_figures(request.fsc, cut_shell(request), request.box, decision.pixel_size, options.fsc_threshold);
  if (!decision.plan.denoise) {
    decision.confidence.per_shell.assign(static_cast<std::size_t>(request.box) / 2 + 1, 0.0);
    decision.confidence.source = "no denoiser";
    decision.why_not =
        decision.plan.kind == Kind::image && options.prior != Choice::gaussian ? decision.plan.rule : "Gaussian prior";
    return decision;
  }
  choose_symmetry(request, options, decision);
  decide_lambda(request, options, decision);
  return decision;
}

void decide_lambda(const ReconstructRequest& request, const RedOptions& options, ReconstructDecision& decision) {
  decision.confidence = choose_lambda(request, options, decision.resolution, decision.pixel_size);
  const auto& shells = decision.confidence.per_shell;
  decision.needs_denoiser = std::any_of(shells.begin(), shells.end(), [](double v) { return v > 0; });
  decision.why_not.clear();
  if (decision.needs_denoiser) return;
  const std::vector<double> usable = usable_shells(request, 1, 0);
  decision.why_not = std::all_of(usable.begin(), usable.end(), [](double v) { return v == 0; })
                         ? "tau2 is 0 in every shell up to the current size, so that RELION's own rule holds"
                         : "lambda is 0 (" + decision.confidence.source + ")";
}

ReconstructReport reconstruct(const ReconstructRequest& request, const RequestArrays& arrays, const RedOptions& options,
                              const ReconstructDecision& decision, Denoiser* denoiser) {
  if (decision.needs_denoiser && denoiser == nullptr)
    throw UsageError(Problem{request.star_path, "denoiser", "none", "a denoiser, as lambda is above 0",
                             "give weights (--weights), or --prior gaussian"});
  ReconstructReport report;
  report.decision = decision;
  report.lambda = decision.confidence.per_shell;
  Stages stages(report.seconds);
  Map result, beside;
  const bool denoise_now = decision.needs_denoiser;
  if (denoise_now && decision.plan.result_is_denoised) {
    result = denoised_map(request, arrays, options, *denoiser, report, stages);
  } else {
    result = reconstruct_gaussian(request, arrays, options.gridding);
    stages.end("gaussian map");
    if (denoise_now) beside = denoised_map(request, arrays, options, *denoiser, report, stages);
  }
  for (const Map* map : {&result, &beside})
    if (!std::all_of(map->data.begin(), map->data.end(), [](float v) { return std::isfinite(v); }))
      throw InputError(Problem{request.star_path, "rlnReferenceTau2, B and K", "a map with NaN or Inf from them",
                               "values whose map is finite",
                               "look at the table of tau2: values below 1e-30 leave nothing of the data"});
  for (const MrcFile* file : {&arrays.real, &arrays.imag, &arrays.weight}) check_mapping_whole(file->float_data());
  // The result last: RELION may look for it as soon as it is there.
  if (beside.size() != 0) {
    write_mrc(decision.plan.beside, beside, decision.pixel_size);
    report.beside = decision.plan.beside;
  } else if (decision.plan.kind == Kind::joined_map) {
    remove_stale_denoised(request);
  }
  write_mrc(request.result, result, decision.pixel_size);
  report.result = request.result;
  stages.end("write");
  return report;
}

ReconstructReport reconstruct(const ReconstructRequest& request, const RedOptions& options, Denoiser* denoiser) {
  const ReconstructDecision decision = decide(request, options);
  const RequestArrays arrays = open_arrays(request);
  return reconstruct(request, arrays, options, decision, denoiser);
}

}  // namespace cryored
