#pragma once
// Parameters of any network to and from a weights file. Private to models/: brings in torch.

#include <torch/nn/module.h>

#include <cstddef>
#include <span>
#include <string>

#include "models/weights_file.hpp"

namespace cryored {

/// Writes the module's parameters with the metadata of `info`, atomically; returns what was written. Parameters may
/// lie on any device and have any floating type. Throws UsageError (see encode_weights) and SystemError (folder, disk).
WeightsInfo save_module(const std::string& path, torch::nn::Module& module, const WeightsInfo& info, StoredType type);

/// Copies the tensors of a parsed file into a module on the CPU in float32. Throws InputError unless names and shapes
/// are those of the module; `architecture` is used in messages.
void fill_module(torch::nn::Module& module, std::span<const std::byte> file, const WeightsInfo& info,
                 const std::string& architecture);

/// What both throw when the table does not fit.
[[noreturn]] void refuse_table(const std::string& file, const std::string& field, const std::string& found,
                               const std::string& allowed, const std::string& architecture);

}  // namespace cryored
