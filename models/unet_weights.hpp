#pragma once
// Joins the network and its weights file.

#include <cstddef>
#include <span>
#include <string>

#include "models/unet.hpp"
#include "models/weights_file.hpp"

namespace cryored {

/// Writes the network's parameters with the metadata of `info` (its architecture is taken from
/// the network, its table and digest are computed), atomically; returns what was written.
/// Parameters may lie on any device and have any floating type. Throws UsageError (see
/// encode_weights) and SystemError (folder, disk).
WeightsInfo save_weights(const std::string& path, UNet3d network, const WeightsInfo& info,
                         StoredType type = StoredType::float32);

struct LoadedWeights {
  UNet3d network{nullptr};  ///< on the CPU, float32, in evaluation mode
  WeightsInfo info;
};

/// Reads, verifies and builds. Throws InputError when the file is damaged, or when its table
/// is not that of its architecture.
LoadedWeights load_weights(const std::string& path);

/// The same from memory.
LoadedWeights load_weights(std::span<const std::byte> file, const std::string& name);

}  // namespace cryored
