#pragma once
// Joins the phase network and its weights file (models/weights_file.hpp). Of the header's fields `voxel_size` is the
// pixel size of the training images in A, `block` their box, `normalisation` is none.

#include <string>

#include "models/imaging/pinn.hpp"
#include "models/weights_file.hpp"

namespace cryored {

/// Writes atomically; the architecture is taken from the network. Throws UsageError (see encode_weights), SystemError.
WeightsInfo save_pinn(const std::string& path, Pinn network, const WeightsInfo& info,
                      StoredType type = StoredType::float32);

struct LoadedPinn {
  Pinn network{nullptr};  ///< on the CPU, float32, in evaluation mode
  WeightsInfo info;
};

/// Throws InputError when the file is damaged, is of another kind of network, or its table is not that of its
/// architecture.
LoadedPinn load_pinn(const std::string& path);

}  // namespace cryored
