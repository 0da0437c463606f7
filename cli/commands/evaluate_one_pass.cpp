// cryored evaluate one-pass: what one pass of the denoiser does to RELION's unregularised half-maps, measured shell by
// shell against the truth, or without one against the other half.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/denoiser_choice.hpp"
#include "cli/map_input.hpp"
#include "cli/network_options.hpp"
#include "cli/run_program.hpp"
#include "cli/threads.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/reconstruct.hpp"
#include "training/relion_pairs.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

struct OnePass {
  std::string star;
  int first_shell = 0, cut = 0;
  double nominal = 0;  ///< A, half-map FSC 0.143
  std::string weights;
  std::vector<double> before, after;  ///< FSC of input and output to the truth, or to the other half
  /// Re <f, t> / <f, f> of the output f and the truth or other half t: by how much to scale f so that it errs least.
  /// Below 1 the denoiser believes too much.
  std::vector<double> scale;
  std::vector<double> limit;  ///< without a truth: what the truth's FSC to the other half would be, before^(1/2)
  /// Mean of after / limit over the shells with a half-map FSC from 0.143 to 0.9; none where there is no such shell.
  std::optional<double> of_limit;
  double mean_change = 0, worst_change = 0;
};

/// What RELION handed over for one half, as a map.
struct HalfMap {
  ReconstructRequest request;
  ReconstructDecision decision;  ///< pixel size and symmetry
  Map map;
};

HalfMap read_half_map(const std::string& star, std::optional<double> pixel_size) {
  HalfMap half{read_request_beside(star), {}, {}};
  RedOptions options;
  options.prior = RedOptions::Prior::red;
  options.pixel_size = pixel_size;
  half.decision = decide(half.request, options);
  half.map = unregularised_map(half.request, open_arrays(half.request));
  return half;
}

/// Of a half-map to be compared with a truth: what the user says, else what the job's files say, which the truth's
/// header must not contradict, else that header.
std::optional<double> pixel_size_for(const std::string& star, const std::string& truth, double in_truth,
                                     std::optional<double> given) {
  if (given) return given;
  std::optional<double> of_job;
  std::string from;
  try {
    of_job = find_pixel_size(read_request_beside(star), &from);
  } catch (const InputError&) {
    // No file of the job tells.
  }
  if (of_job && in_truth > 0 && std::abs(in_truth - *of_job) > 1e-3 * *of_job)
    throw InputError(Problem{truth, "MRC header cella (words 11-13) divided by mx (pixel size)",
                             fmt::format("{:g} A", in_truth), fmt::format("{:g} A, as {} says", *of_job, from),
                             "give the truth of this data set, or --pixel-size"});
  if (!of_job && in_truth > 0) return in_truth;
  return of_job;
}

/// The unregularised map of the other half, as the denoiser sees it.
Map other_half_map(const HalfMap& half) {
  const std::string star = half.request.other_half();
  const std::string& path = half.request.star_path;
  if (star.empty())
    throw InputError(Problem{path, "name", fs::path(path).filename().string(),
                             "..._half1_class001_external_reconstruct.star or _half2_",
                             "give the STAR files of a half of an auto-refinement, or --truth"});
  if (!fs::exists(star))
    throw InputError(Problem{star, "the other half", "nothing", "the STAR file and its arrays beside " + path,
                             "give an iteration that has both, or --truth"});
  HalfMap other = read_half_map(star, half.decision.pixel_size);
  if (other.map.nx != half.map.nx)
    throw InputError(Problem{star, "rlnOriginalImageSize", std::to_string(other.map.nx),
                             std::to_string(half.map.nx) + " as in " + path, "give halves of one refinement"});
  return as_seen(other.request, std::move(other.map));
}

void set_limit(OnePass& r) {
  int shells = 0;
  double sum = 0;
  for (std::size_t s = 0; s < r.before.size(); ++s) {
    r.limit.push_back(std::sqrt(std::max(0.0, r.before[s])));
    if (s < 1 || s >= static_cast<std::size_t>(r.cut) || r.before[s] < 0.143 || r.before[s] > 0.9) continue;
    sum += r.after[s] / r.limit[s];
    ++shells;
  }
  if (shells > 0) r.of_limit = sum / shells;
}

/// `given`: pixel size in A where the files do not say, or say wrongly.
OnePass measure(const std::string& star, const Map* truth, std::optional<double> given, DenoiserChoice& denoisers) {
  const HalfMap half = read_half_map(star, given);
  const ReconstructRequest& request = half.request;
  const double pixel_size = half.decision.pixel_size;
  if (truth && half.map.nx != truth->nx)
    throw InputError(Problem{star, "box", std::to_string(half.map.nx), "the truth's " + std::to_string(truth->nx),
                             "give the truth of this data set"});
  OnePass r;
  r.star = star;
  r.cut = cut_shell(request);
  r.first_shell = static_cast<int>(std::ceil(request.box * pixel_size / 15));
  const auto nominal = resolution_figures(request.fsc, r.cut, request.box, pixel_size).nominal;
  r.nominal = nominal.value_or(0);
  LazyDenoiser& denoiser = denoisers.at(nominal, pixel_size);
  r.weights = denoiser.weights().name;
  const Map output =
      as_seen(request, denoise(request, half.map, pixel_size, denoiser, half.decision.symmetry).denoised);
  const HalfTransform t = forward(truth ? *truth : other_half_map(half)), f = forward(output);
  r.before = fsc(forward(as_seen(request, half.map)), t);
  r.after = fsc(f, t);
  const std::vector<double> power = shell_power(f), true_power = shell_power(t);
  for (std::size_t s = 0; s < r.after.size(); ++s)
    r.scale.push_back(power[s] > 0 ? r.after[s] * std::sqrt(true_power[s] / power[s]) : 0);
  if (!truth) set_limit(r);
  for (int s = r.first_shell; s < r.cut; ++s) {
    const double change = r.after[static_cast<std::size_t>(s)] - r.before[static_cast<std::size_t>(s)];
    r.mean_change += change / (r.cut - r.first_shell);
    r.worst_change = std::min(r.worst_change, change);
  }
  return r;
}

/// The half-maps to look at, each group with its truth.
struct Group {
  std::string name, truth;
  std::vector<std::string> stars;
};

std::vector<Group> groups_of(const Settings& settings) {
  const std::string &truth = settings.text("truth"), &folder = settings.text("refinements");
  std::vector<Group> groups;
  if (!folder.empty()) {
    if (!truth.empty() || !settings.arguments.empty())
      throw UsageError(Problem{"--refinements", "", "STAR files or --truth besides", "one of both ways",
                               "leave one out; see cryored evaluate one-pass --help"});
    for (FinishedRefinement& job : finished_refinements(folder)) {
      Group group{std::move(job.name), std::move(job.truth), std::move(job.stars)};
      if (!group.stars.empty()) groups.push_back(std::move(group));
    }
    return groups;
  }
  if (settings.arguments.empty())
    throw UsageError(Problem{"cryored evaluate one-pass", "", "no STAR file",
                             "STAR files, with or without --truth, or --refinements",
                             "see cryored evaluate one-pass --help"});
  return {{"", truth, settings.arguments}};
}

nlohmann::json json_of(const OnePass& r, const std::string& truth) {
  nlohmann::json json = {{"star", r.star},
                         {"against", truth.empty() ? "other half" : "truth"},
                         {"nominal_resolution", r.nominal},
                         {"weights", r.weights},
                         {"first_shell", r.first_shell},
                         {"cut", r.cut},
                         {"fsc_before", r.before},
                         {"fsc_after", r.after},
                         {"best_scale", r.scale},
                         {"mean_change", r.mean_change},
                         {"worst_change", r.worst_change}};
  if (truth.empty()) {
    json["fsc_limit"] = r.limit;
    json["of_limit"] = r.of_limit ? nlohmann::json(*r.of_limit) : nlohmann::json();
  } else {
    json["truth"] = truth;
  }
  return json;
}

void print(const OnePass& r) {
  std::cout << fmt::format(
      "{}: half-map FSC 0.143 at {:.1f} A, {}, shells {} to {} (15 A to the cut): mean change {:+.3f}, worst "
      "{:+.3f}{}\n",
      r.star, r.nominal, r.weights, r.first_shell, r.cut - 1, r.mean_change, r.worst_change,
      r.limit.empty() ? ""
      : r.of_limit    ? fmt::format(", {:.2f} of the limit", *r.of_limit)
                      : ", - of the limit");
  for (const auto& [name, curve] :
       {std::pair{"before", &r.before}, {"after", &r.after}, {"limit", &r.limit}, {"scale", &r.scale}}) {
    if (curve->empty()) continue;
    std::cout << fmt::format("  {:<6}", name);
    for (int s = r.first_shell; s < r.cut; ++s)
      std::cout << fmt::format(" {:5.2f}", (*curve)[static_cast<std::size_t>(s)]);
    std::cout << "\n";
  }
  std::cout << std::flush;
}

int run(const Settings& settings) {
  const bool json = settings.flag("json");
  const int threads = settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors();
  set_threads(threads);
  DenoiserChoice denoisers(settings, threads);
  nlohmann::json out = nlohmann::json::array();
  double mean_change = 0, worst_change = 0;
  std::size_t maps = 0;
  const std::optional<double> pixel_size = settings.optional_number("pixel-size");
  for (const Group& group : groups_of(settings)) {
    MrcHeader header;
    Map truth;
    if (!group.truth.empty()) truth = read_finite_map(group.truth, header);
    const bool with_truth = !group.truth.empty();
    for (const std::string& star : group.stars) {
      const std::optional<double> given =
          with_truth ? pixel_size_for(star, group.truth, header.pixel_size, pixel_size) : pixel_size;
      const OnePass r = measure(star, with_truth ? &truth : nullptr, given, denoisers);
      mean_change += r.mean_change;
      worst_change = std::min(worst_change, r.worst_change);
      ++maps;
      if (json)
        out.push_back(json_of(r, group.truth));
      else
        print(r);
    }
  }
  if (json)
    std::cout << json_text(out, 1) << "\n";
  else if (maps > 1)
    std::cout << fmt::format("{} half-maps: mean change {:+.3f}, worst shell of all {:+.3f}\n", maps,
                             mean_change / static_cast<double>(maps), worst_change);
  return 0;
}

}  // namespace

Command evaluate_one_pass_command() {
  using enum OptionKind;
  Command command{"evaluate one-pass", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored evaluate one-pass";
  spec.arguments = "[STAR...]";
  spec.summary = "What one pass of the denoiser does to RELION's unregularised half-maps";
  spec.details =
      "STAR are the files that RELION wrote for --external_reconstruct; their MRC files are looked for beside them. "
      "FSC to the true map with --truth; or --refinements names the output folder of cryored evaluate refine, whose "
      "half-maps and truths are found in it. With neither, on your own data, FSC to the unregularised map of the other "
      "half, which lies beside: limit is what a perfect map would reach there (root of the FSC between the halves), "
      "and the first line says how much of it the output reaches (mean of after / limit over the shells with a "
      "half-map FSC from 0.143 to 0.9; - where there is none). Below 0.8 particles were badly aligned wherever it was "
      "measured "
      "(docs/guard.md). The shells are those from 15 A to the cut (current size / 2). scale is the factor for the "
      "output with which it errs least: below 1 the denoiser believes too much.";
  spec.maximum_arguments = 10000;
  spec.options = {tool_option("truth", path, "MAP", "",
                              "true map of the STAR files: same box, frame and pixel size; without it the other half"),
                  tool_option("refinements", path, "DIR", "", "output folder of cryored evaluate refine"),
                  pixel_size_option("the one in STAR or in the job's files beside it, else that of the truth"),
                  weights_option(),
                  device_option(),
                  precision_option(),
                  threads_option(),
                  json_option("print JSON")};
  return command;
}

}  // namespace cryored
