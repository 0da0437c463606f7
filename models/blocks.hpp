#pragma once
// How a map of any box is cut into overlapping blocks and put together again.

#include <cstddef>
#include <vector>

#include "core/fourier/grid.hpp"

namespace cryored {

/// The blocks along one axis. Where neighbours overlap, their weights follow sin^2 and cos^2,
/// and over all blocks they sum to 1 at every voxel (normalised in double).
struct AxisPlan {
  std::size_t length = 0;    ///< voxels of the map on this axis
  std::size_t block = 0;     ///< voxels of a block, all the same
  std::vector<long> starts;  ///< first voxel of each block; negative where a block is longer than the map
  std::vector<std::vector<float>> weights;  ///< per block, `block` values; 0 on the padding
};

/// Blocks of edge `block` that overlap by at least `overlap` voxels, evenly spread over
/// `length`; a map shorter than a block lies in the middle of one, see cut_block().
/// Throws UsageError unless block > 0 and 0 <= overlap < block.
AxisPlan plan_axis(std::size_t length, std::size_t block, std::size_t overlap);

/// Copies the block starting at (x, y, z) into out[block^3] (x fastest) as
/// value / scale. Beyond the map it goes on periodically, as a band-limited map does: zeros there would be
/// empty volume that the network was not trained with (docs/denoiser.md).
void cut_block(const Map& map, long x, long y, long z, std::size_t block, float scale, float* out);

/// Adds a block's values, multiplied by the weights of its three axes (plan.weights[i] for
/// block index i on that axis), to the map. Blocks of a 2D map have one section.
void add_block(const float* block, const AxisPlan& px, std::size_t ix, const AxisPlan& py, std::size_t iy,
               const AxisPlan& pz, std::size_t iz, Map& map);

}  // namespace cryored
