#pragma once
// The denoisers in force, for commands that go through several maps: each is loaded when it is first chosen.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/denoise_library.hpp"
#include "cli/options.hpp"

namespace cryored {

class DenoiserChoice {
 public:
  /// Throws InputError as denoisers_in_force().
  DenoiserChoice(const Settings& settings, int threads);

  /// As choose_denoiser(): nominal resolution and pixel size in A. Throws what loading a denoiser throws.
  LazyDenoiser& at(std::optional<double> nominal, double pixel_size);

 private:
  DenoiserOptions options_;
  std::vector<WeightsInfo> denoisers_;
  std::map<std::string, std::unique_ptr<LazyDenoiser>> by_path_;
};

}  // namespace cryored
