#include "cli/denoiser_choice.hpp"

#include "cli/network_options.hpp"
#include "models/weights_choice.hpp"

namespace cryored {

DenoiserChoice::DenoiserChoice(const Settings& settings, int threads)
    : options_(denoiser_options(settings, threads)), denoisers_(denoisers_in_force(settings)) {}

LazyDenoiser& DenoiserChoice::at(std::optional<double> nominal, double pixel_size) {
  const std::string& path = choose_denoiser(denoisers_, nominal, pixel_size).path;
  std::unique_ptr<LazyDenoiser>& denoiser = by_path_[path];
  if (!denoiser) denoiser = std::make_unique<LazyDenoiser>(path, options_);
  return *denoiser;
}

}  // namespace cryored
