#include "models/weights_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace cryored {
namespace {

/// Pixel sizes come from files with six digits.
constexpr double kRounding = 1 + 1e-4;

bool serves(const WeightsInfo& denoiser, double resolution) {
  return 2 * denoiser.voxel_size <= resolution * kRounding;
}

}  // namespace

std::vector<WeightsInfo> read_denoisers(const std::vector<std::string>& files) {
  std::vector<WeightsInfo> denoisers;
  denoisers.reserve(files.size());
  for (const std::string& file : files) denoisers.push_back(read_denoiser_info(file));
  std::stable_sort(denoisers.begin(), denoisers.end(),
                   [](const WeightsInfo& a, const WeightsInfo& b) { return a.voxel_size > b.voxel_size; });
  return denoisers;
}

const WeightsInfo& choose_denoiser(const std::vector<WeightsInfo>& denoisers, std::optional<double> nominal,
                                   double pixel_size) {
  const double unknown = std::numeric_limits<double>::infinity();
  const double wanted = std::max(nominal.value_or(unknown) / kBeyondNominal, 2 * pixel_size);
  for (const WeightsInfo& denoiser : denoisers)
    if (serves(denoiser, wanted)) return denoiser;
  return denoisers.back();
}

std::vector<WeightsInfo> denoisers_for(const std::vector<WeightsInfo>& denoisers, double pixel_size) {
  std::vector<WeightsInfo> possible;
  for (const WeightsInfo& denoiser : denoisers) {
    possible.push_back(denoiser);
    if (serves(denoiser, 2 * pixel_size)) break;
  }
  return possible;
}

std::string choice_rule() { return fmt::format("{:g}", kBeyondNominal); }

}  // namespace cryored
