#include <cmath>
#include <cstring>
#include <set>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/formats/half_float.hpp"
#include "models/weights_confidence.hpp"
#include "models/weights_file.hpp"
#include "models/weights_format.hpp"

namespace cryored {
namespace {

using namespace weights_format;

nlohmann::json architecture_json(const UNetConfig& c) {
  nlohmann::json json = {{"type", kDenoiserType},
                         {"levels", c.levels},
                         {"width", c.width},
                         {"width_cap", c.width_cap},
                         {"in_channels", c.in_channels},
                         {"deviation", c.deviation},
                         {"convs_per_level", c.convs_per_level},
                         {"norm", to_string(c.norm)},
                         {"activation", to_string(c.activation)},
                         {"down", to_string(c.down)},
                         {"up", to_string(c.up)},
                         {"residual_blocks", c.residual_blocks}};
  if (c.mask_head) json["mask_head"] = true;  // not named otherwise: the digests of older networks stay
  return json;
}

[[noreturn]] void refuse(const std::string& field, const std::string& found, const std::string& allowed) {
  throw UsageError(Problem{"weights to be saved", field, found, allowed, "correct the value before saving"});
}

void check(const WeightsInfo& info, const std::vector<TensorSource>& tensors) {
  if (info.model.is_null()) {
    info.architecture.check();
  } else if (!info.model.is_object() || !info.model.contains("type") || !info.model["type"].is_string() ||
             info.model["type"] == kDenoiserType) {
    refuse("model", info.model.dump().substr(0, 60), "an object with a \"type\" that is not the denoiser's");
  }
  for (const auto& [field, value] :
       {std::pair<const char*, const std::string&>{"name", info.name}, {"licence", info.licence}, {"date", info.date}})
    if (value.empty()) refuse(field, "nothing", "a text");
  if (!(info.voxel_size >= 0.1 && info.voxel_size <= 100))
    refuse("voxel_size_A", std::to_string(info.voxel_size), "0.1 to 100");
  const int multiple = info.model.is_null() ? info.architecture.multiple() : 1;
  if (info.block < 8 || info.block > 1024 || info.block % multiple != 0)
    refuse("block", std::to_string(info.block), "8 to 1024, in multiples of " + std::to_string(multiple));
  if (tensors.empty()) refuse("parameters", "none", "at least one");
  std::set<std::string> names;
  for (const auto& t : tensors)
    if (t.name.empty() || t.name.size() > 200 || !names.insert(t.name).second)
      refuse("parameters", "the name \"" + t.name + "\"", "1 to 200 bytes, each name once");
}

}  // namespace

std::string network_digest(const std::string& path) {
  const std::vector<std::byte> file = read_weights_bytes(path);
  const WeightsInfo info = parse_weights(file, path);
  nlohmann::json what = {{"architecture", info.model.is_null() ? architecture_json(info.architecture) : info.model},
                         {"voxel_size_A", info.voxel_size},
                         {"block", info.block},
                         {"normalisation", to_string(info.normalisation)}};
  for (const StoredTensor& t : info.tensors)
    what["tensors"].push_back({t.name, t.shape, t.type == StoredType::float32 ? 4 : 2, t.offset});
  std::string bytes = what.dump();
  bytes.append(reinterpret_cast<const char*>(file.data()) + info.data_start, file.size() - kDigest - info.data_start);
  return sha256_bytes(bytes.data(), bytes.size());
}

std::vector<std::byte> encode_weights(const WeightsInfo& info, const std::vector<TensorSource>& tensors,
                                      StoredType type) {
  check(info, tensors);
  nlohmann::json table = nlohmann::json::array();
  std::vector<std::uint64_t> offsets;
  std::uint64_t end = 0;
  for (const auto& source : tensors) {
    const StoredTensor t{source.name, source.shape, type, round_up(end)};
    if (t.elements() != source.values.size())
      refuse(source.name, std::to_string(source.values.size()) + " values",
             std::to_string(t.elements()) + " as its shape says");
    // 65520 is the first number that float16 rounds to infinity.
    for (const float v : source.values)
      if (!std::isfinite(v) || (type == StoredType::float16 && std::abs(v) >= 65520.0f))
        refuse(source.name, std::to_string(v), "finite values that the stored type holds");
    offsets.push_back(t.offset);
    end = t.offset + t.bytes();
    table.push_back({{"name", t.name},
                     {"shape", t.shape},
                     {"dtype", type == StoredType::float32 ? "float32" : "float16"},
                     {"offset", t.offset}});
  }
  nlohmann::json json{{"name", info.name},
                      {"licence", info.licence},
                      {"date", info.date},
                      {"architecture", info.model.is_null() ? architecture_json(info.architecture) : info.model},
                      {"voxel_size_A", info.voxel_size},
                      {"block", info.block},
                      {"normalisation", to_string(info.normalisation)},
                      {"training", info.training},
                      {"metrics", info.metrics},
                      {"parameters", table}};
  if (info.confidence) {
    json["confidence"] = confidence_json(*info.confidence);
    json["confidence"]["measured"] = info.confidence_measured;
    read_confidence(json["confidence"], "weights to be saved");
  }
  std::string text = json.dump(1);
  // The length counts the spaces too, so that every byte of the file has one meaning.
  text.resize(round_up(kHeader + text.size()) - kHeader, ' ');
  if (text.size() > kMaxJson) refuse("metadata", std::to_string(text.size()) + " bytes", "at most 16 MiB");

  const std::uint64_t start = kHeader + text.size(), json_bytes = text.size();
  std::vector<std::byte> file(start + end + kDigest);
  const std::uint32_t version = kVersion;
  std::memcpy(file.data(), kMagic.data(), kMagic.size());
  std::memcpy(file.data() + 8, &version, 4);
  std::memcpy(file.data() + 16, &json_bytes, 8);
  std::memcpy(file.data() + 24, &end, 8);
  std::memcpy(file.data() + kHeader, text.data(), text.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::byte* p = file.data() + start + offsets[i];
    const auto& values = tensors[i].values;
    if (type == StoredType::float32) {
      std::memcpy(p, values.data(), values.size() * sizeof(float));
    } else {
      std::vector<std::uint16_t> halves(values.size());
      float_to_half(values.data(), halves.data(), values.size());
      std::memcpy(p, halves.data(), halves.size() * sizeof(std::uint16_t));
    }
  }
  const std::string digest = sha256_bytes(file.data(), start + end);
  for (std::size_t i = 0; i < kDigest; ++i)
    file[start + end + i] = static_cast<std::byte>(std::stoul(digest.substr(2 * i, 2), nullptr, 16));
  return file;
}

}  // namespace cryored
