#include "cli/network_options.hpp"

#include <filesystem>

#include "cli/builtin_denoiser.hpp"
#include "models/weights_choice.hpp"

namespace cryored {

DenoiserOptions denoiser_options(const Settings& settings, int threads) {
  DenoiserOptions options;
  options.device = settings.text("device");
  options.precision = precision_in_force(settings);
  options.threads = threads;
  return options;
}

namespace {

/// What find_denoisers() is asked for.
struct WeightsRequest {
  std::string request, variable;
};

WeightsRequest weights_request(const Settings& settings) {
  const Surroundings& around = settings.surroundings;
  // The variable may also name a folder, which find_denoisers() looks through.
  const bool by_variable = settings.source("weights").level == SourceLevel::environment;
  const std::string request = by_variable ? "" : settings.text("weights");
  const std::string variable = around.variable("CRYORED_WEIGHTS");
  if (is_builtin(by_variable ? variable : request)) return {by_variable ? variable : request, ""};
  std::error_code ignored;
  const std::string here = around.resolve(request);
  const bool is_file = request.find('/') != std::string::npos || std::filesystem::is_regular_file(here, ignored);
  return {is_file ? here : request, around.resolve(variable)};
}

}  // namespace

std::vector<WeightsInfo> denoisers_in_force(const Settings& settings) {
  const auto [request, variable] = weights_request(settings);
  if (is_builtin(request)) return {builtin_info(request)};
  return read_denoisers(find_denoisers(request, variable));
}

std::string phase_weights_in_force(const Settings& settings) {
  const Surroundings& around = settings.surroundings;
  const std::string request = settings.text("weights"), here = around.resolve(request);
  std::error_code ignored;
  std::string variable = around.resolve(around.variable("CRYORED_WEIGHTS"));
  if (std::filesystem::is_regular_file(variable, ignored)) variable.clear();
  const bool is_file = request.find('/') != std::string::npos || std::filesystem::is_regular_file(here, ignored);
  return find_weights(is_file ? here : request, variable, kPhaseWeights);
}

Precision precision_in_force(const Settings& settings) {
  return settings.text("precision") == "bf16" ? Precision::bf16 : Precision::float32;
}

}  // namespace cryored
