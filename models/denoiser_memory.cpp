// Sizes of blocks and what they take, apart from the network: programs without LibTorch plan with them.

#include <algorithm>
#include <cmath>

#include "models/block_denoiser.hpp"

namespace cryored {

int default_block(const UNetConfig& config, int training_block, double voxel_size, std::size_t map_edge) {
  const auto multiple = static_cast<std::size_t>(config.multiple());
  const auto rounded_up = [multiple](std::size_t edge) { return (edge + multiple - 1) / multiple * multiple; };
  const std::size_t trained = std::max(static_cast<std::size_t>(training_block), 2 * multiple);
  const std::size_t longest = std::max(trained, 4 * trained / 3 / multiple * multiple);
  const std::size_t wanted =
      voxel_size > 0 ? rounded_up(static_cast<std::size_t>(std::ceil(kBlockSpan / voxel_size))) : 0;
  return static_cast<int>(std::min(std::max(rounded_up(map_edge), 2 * multiple), std::clamp(wanted, trained, longest)));
}

std::uint64_t denoiser_memory(const UNetConfig& config, std::size_t map_edge, int block, int batch,
                              Precision precision) {
  const std::uint64_t map = map_edge * map_edge * map_edge, edge = static_cast<std::uint64_t>(block);
  const bool full = precision == Precision::float32;
  // bf16 convolutions keep part of their sums in float32.
  const auto channels =
      static_cast<std::uint64_t>(config.first_channels()) + (full ? 10 : 12) * static_cast<std::uint64_t>(config.width);
  return 4 * map + static_cast<std::uint64_t>(batch) * edge * edge * edge * (8 + (full ? 4 : 2) * channels) +
         4 * static_cast<std::uint64_t>(unet_parameters(config)) + (64u << 20);
}

}  // namespace cryored
