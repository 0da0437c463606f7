#include "cli/reconstruct_intent.hpp"

#include <tuple>

#include "cli/network_options.hpp"
#include "models/weights_choice.hpp"
#include "models/weights_confidence.hpp"

namespace cryored {
namespace {

/// "--symmetry, command line" or "symmetry, cryored.conf:3".
std::string source_of(const Settings& settings, const std::string& option) {
  const Source& source = settings.source(option);
  return (source.level == SourceLevel::command_line ? "--" : "") + option + ", " + source.text;
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
  options.symmetry_source = source_of(settings, "symmetry");
  options.pixel_size = settings.optional_number("pixel-size");
  options.pixel_size_source = source_of(settings, "pixel-size");
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

}  // namespace

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
  decide_lambda(intent.request, intent.options, intent.decision);
  return intent;
}

}  // namespace cryored
