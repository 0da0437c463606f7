#pragma once
// One map through a network, whatever their voxel sizes.

#include "core/fourier/shells.hpp"
#include "core/reconstruct/denoiser.hpp"

namespace cryored {

/// The map resampled to the network's voxel size, run through it, and what the network changed resampled back and
/// added, so that detail beyond the network's voxel size passes unchanged. Sets `boxes` to what the network saw.
Map denoise_map(Denoiser& denoiser, const Map& map, double pixel_size, ResampleBoxes& boxes);

}  // namespace cryored
