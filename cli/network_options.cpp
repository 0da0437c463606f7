#include "cli/network_options.hpp"

#include "models/weights_file.hpp"

namespace cryored {

DenoiserOptions denoiser_options(const Settings& settings, int threads) {
  DenoiserOptions options;
  options.device = settings.text("device");
  options.precision = settings.text("precision") == "bf16" ? Precision::bf16 : Precision::float32;
  options.threads = threads;
  return options;
}

std::string weights_in_force(const Settings& settings) {
  // find_weights() reads CRYORED_WEIGHTS itself.
  const bool by_variable = settings.source("weights").level == SourceLevel::environment;
  return find_weights(by_variable ? "" : settings.text("weights"));
}

}  // namespace cryored
