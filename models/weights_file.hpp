#pragma once
// Weights of a network as one file, `<name>.crw`: no code inside, every length checked.
//
//   byte 0    8 bytes   "CRWEIGHT"
//        8    uint32    version, 1
//       12    uint32    zero
//       16    uint64    J, length of the JSON text; T = 32 + J is a multiple of 64
//       24    uint64    D, length of the tensor data
//       32    J bytes   JSON (UTF-8), filled up with spaces
//        T    D bytes   tensors, row-major, each starting at a multiple of 64 from T, gaps zero
//      T+D    32 bytes  SHA-256 of everything before it
//
// All numbers little-endian. The JSON object holds "architecture" (the denoiser's, or that of another kind of network,
// which states its "type"), "voxel_size_A",
// "block", "normalisation", "name", "licence", "date", and, free in form, "training"
// and "metrics"; "parameters" is the table [{name, shape, dtype, offset}], in file order;
// "confidence", where there is one, is described in models/weights_confidence.hpp.
//
// Free of torch: listing and verifying weights starts nothing heavy. models/unet_weights.hpp
// joins it to the network.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/reconstruct/confidence_table.hpp"
#include "models/normalise.hpp"
#include "models/unet_config.hpp"

namespace cryored {

enum class StoredType { float32, float16 };

/// One tensor of the table.
struct StoredTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  StoredType type = StoredType::float32;
  std::uint64_t offset = 0;  ///< bytes from the start of the tensor data

  std::uint64_t elements() const;
  std::uint64_t bytes() const { return elements() * (type == StoredType::float32 ? 4 : 2); }
};

/// The header of a weights file, checked.
struct WeightsInfo {
  std::string path;           ///< or the name given to parse_weights
  std::string name;           ///< "denoiser-2.5A"
  std::string licence, date;  ///< SPDX identifier; ISO 8601 day
  UNetConfig architecture;    ///< of the denoiser; meaningless where `model` is not null
  nlohmann::json model;       ///< "architecture" of any other kind of network, with a "type"; null for the denoiser
  double voxel_size = 0;      ///< A per voxel of the maps it was trained on
  int block = 0;              ///< edge of the training blocks in voxels
  Normalisation normalisation = Normalisation::contrast;
  nlohmann::json training, metrics;
  std::optional<ConfidenceTable> confidence;  ///< for --confidence per-shell
  nlohmann::json confidence_measured;         ///< what it rests on, free in form; null without a table
  std::vector<StoredTensor> tensors;
  std::string sha256;  ///< of the file's content, lower-case hexadecimal
  std::uint64_t file_bytes = 0, data_start = 0;

  std::int64_t parameters() const;  ///< sum of all elements
  std::string kind() const;         ///< the architecture in a word or two, for lists and messages
};

/// Header and digest as stated in the file, without reading the tensors: for lists.
/// Throws InputError naming file, field, value, what is allowed and the remedy.
WeightsInfo read_weights_info(const std::string& path);

/// The same, and the digest is computed and compared. Throws InputError also when they differ.
WeightsInfo verify_weights(const std::string& path);

/// SHA-256 of what decides the network's output: architecture, voxel size, block, normalisation and tensors. Files that
/// differ in name, model card or table of confidence only have the same. Throws as verify_weights does.
std::string network_digest(const std::string& path);

/// A whole file in memory: checks everything including the digest; `name` is used in messages.
WeightsInfo parse_weights(std::span<const std::byte> file, const std::string& name);

/// parse_weights without the digest: what a fuzzer must reach. Not for files from outside.
WeightsInfo parse_weights_structure(std::span<const std::byte> file, const std::string& name);

/// Throws InputError unless the file is the denoiser's.
void require_denoiser(const WeightsInfo& info);
/// read_weights_info and require_denoiser.
WeightsInfo read_denoiser_info(const std::string& path);

/// Content of a file for parse_weights; throws InputError (missing, unreadable, larger than 4 GiB).
std::vector<std::byte> read_weights_bytes(const std::string& path);

/// Values of one tensor of a parsed file as float32.
std::vector<float> tensor_values(std::span<const std::byte> file, const WeightsInfo& info, const StoredTensor& tensor);

/// A tensor to be written.
struct TensorSource {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// The bytes of a weights file. Uses of `info`: name, licence, date, architecture, voxel_size,
/// block, normalisation, training, metrics, confidence. Throws UsageError when a required field is missing
/// or out of range, or a value is not finite or does not fit in float16.
std::vector<std::byte> encode_weights(const WeightsInfo& info, const std::vector<TensorSource>& tensors,
                                      StoredType type = StoredType::float32);

/// Folders searched for weights, in order: $CRYORED_WEIGHTS (a file or a folder), then
/// share/cryored/weights beside the running program's bin folder, then, in builds of a
/// source tree only, models/weights of that tree.
std::vector<std::string> weights_search_path();

/// All *.crw files on the search path of a caller whose $CRYORED_WEIGHTS is `variable`, first found first, each file
/// name once. Throws InputError where the variable names nothing that exists.
std::vector<std::string> list_weights(const std::string& variable);

/// The file to use. `request`: a path, or the name of a shipped file with or without .crw;
/// empty: the file that $CRYORED_WEIGHTS names, else denoiser-2.5A.crw. Throws InputError
/// that lists where it looked.
std::string find_weights(const std::string& request = {});
/// Same for a caller whose $CRYORED_WEIGHTS is `variable`, empty where unset, and for another default `name`.
std::string find_weights(const std::string& request, const std::string& variable,
                         const std::string& name = "denoiser-2.5A.crw");

/// The denoisers to choose from (weights_choice.hpp): the file that `request` or `variable` names, as find_weights()
/// takes them; else all denoiser-*.crw of the first place on the search path that has any. Throws as find_weights().
std::vector<std::string> find_denoisers(const std::string& request, const std::string& variable);

/// The shipped weights of the phase network (models/imaging/pinn_weights.hpp).
inline constexpr const char* kPhaseWeights = "phase-general.crw";

}  // namespace cryored
