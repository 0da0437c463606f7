#pragma once
// Denoisers of several voxel sizes, and which of them serves a map. Without LibTorch.
//
// A denoiser works on voxels of its own size and knows nothing beyond their Nyquist frequency; a coarser one sees more
// of the particle in its blocks, costs less, and was trained on worse maps. So a refinement begins with the coarsest
// and goes on to a finer one when its resolution asks for it.

#include <optional>
#include <string>
#include <vector>

#include "models/weights_file.hpp"

namespace cryored {

/// A denoiser's Nyquist limit must be better than a map's nominal resolution by this factor: the shells just beyond
/// the resolution are those that denoising brings (docs/red.md has the measurement).
inline constexpr double kBeyondNominal = 1.5;

/// Headers of `files`, coarsest voxels first. Throws as read_denoiser_info().
std::vector<WeightsInfo> read_denoisers(const std::vector<std::string>& files);

/// Of `denoisers`, coarsest first and not empty, the first whose Nyquist limit (2 voxels, A) is that of the map's
/// `pixel_size` (A) or better, or better than `nominal` (A) by kBeyondNominal; if none is, the finest. Without a
/// nominal resolution the coarsest.
const WeightsInfo& choose_denoiser(const std::vector<WeightsInfo>& denoisers, std::optional<double> nominal,
                                   double pixel_size);

/// Those that choose_denoiser() may take for maps of this pixel size at whatever resolution.
std::vector<WeightsInfo> denoisers_for(const std::vector<WeightsInfo>& denoisers, double pixel_size);

/// The figures that the choice rests on, for digests of what a refinement ran with.
std::string choice_rule();

}  // namespace cryored
