#include "models/weights_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/formats/half_float.hpp"
#include "models/weights_confidence.hpp"
#include "models/weights_format.hpp"

namespace cryored {
namespace {

using namespace weights_format;

const char* const kFetchAgain = "restore the file from the distribution (cryored weights verifies it)";

template <typename T>
T number_at(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

/// Fetches fields of the JSON object, every one typed and in range, with messages that name it.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) fail("metadata", object.type_name(), "a JSON object");
  }
  [[noreturn]] void fail(const std::string& field, const std::string& found, const std::string& allowed) const {
    throw InputError(Problem{where_, field, found, allowed, kFetchAgain});
  }
  const nlohmann::json& get(const std::string& key) const {
    const auto it = object_.find(key);
    if (it == object_.end()) fail(key, "nothing", "this field is required");
    return *it;
  }
  std::string text(const std::string& key) const {
    const auto& v = get(key);
    if (!v.is_string()) fail(key, v.type_name(), "text");
    return v.get<std::string>();
  }
  std::int64_t integer(const std::string& key, std::int64_t low, std::int64_t high) const {
    return integer(get(key), key, low, high);
  }
  std::int64_t integer(const nlohmann::json& v, const std::string& key, std::int64_t low, std::int64_t high) const {
    const std::string allowed = "a whole number from " + std::to_string(low) + " to " + std::to_string(high);
    if (!v.is_number_integer()) fail(key, brief(v), allowed);
    if (v.is_number_unsigned() && v.get<std::uint64_t>() > static_cast<std::uint64_t>(high))
      fail(key, brief(v), allowed);
    const auto n = v.get<std::int64_t>();
    if (n < low || n > high) fail(key, brief(v), allowed);
    return n;
  }
  double real(const std::string& key, double low, double high) const {
    const auto& v = get(key);
    if (!v.is_number() || !(v.get<double>() >= low && v.get<double>() <= high))
      fail(key, brief(v), "a number from " + std::to_string(low) + " to " + std::to_string(high));
    return v.get<double>();
  }
  bool flag(const std::string& key) const {
    const auto& v = get(key);
    if (!v.is_boolean()) fail(key, brief(v), "true or false");
    return v.get<bool>();
  }
  template <typename E>
  void choice(const std::string& key, E& value) const {
    const std::string s = text(key);
    if (!from_string(s, value))
      fail(key, brief(get(key)), "a value that this version knows; default " + std::string(to_string(value)));
  }

 private:
  static std::string brief(const nlohmann::json& v) {
    return v.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 60);
  }
  const nlohmann::json& object_;
  std::string where_;
};

UNetConfig read_architecture(const nlohmann::json& json, const std::string& where) {
  const Fields f(json, where + ": architecture");
  UNetConfig c;
  c.levels = static_cast<int>(f.integer("levels", 1, 8));
  c.width = static_cast<int>(f.integer("width", 8, 512));
  c.width_cap = static_cast<int>(f.integer("width_cap", 8, 4096));
  c.in_channels = static_cast<int>(f.integer("in_channels", 1, 16));
  c.deviation = json.contains("deviation") && f.flag("deviation");  // older files do not have it
  c.convs_per_level = static_cast<int>(f.integer("convs_per_level", 1, 8));
  f.choice("norm", c.norm);
  f.choice("activation", c.activation);
  f.choice("down", c.down);
  f.choice("up", c.up);
  c.residual_blocks = f.flag("residual_blocks");
  c.mask_head = json.contains("mask_head") && f.flag("mask_head");  // older files do not have it
  try {
    c.check();
  } catch (const UsageError& e) {
    throw InputError(where + ": " + e.what());
  }
  return c;
}

/// The table: names unique, tensors in order, aligned, without overlap, filling the data exactly.
std::vector<StoredTensor> read_table(const nlohmann::json& table, std::uint64_t data_bytes, const std::string& where) {
  if (!table.is_array() || table.empty() || table.size() > 100000)
    throw InputError(Problem{where, "parameters",
                             table.is_array() ? std::to_string(table.size()) + " entries" : table.type_name(),
                             "a list of 1 to 100000 entries", kFetchAgain});
  std::vector<StoredTensor> tensors;
  std::vector<std::string> names;
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const Fields f(table[i], where + ": parameters[" + std::to_string(i) + "]");
    StoredTensor t;
    t.name = f.text("name");
    if (t.name.empty() || t.name.size() > 200)
      f.fail("name", std::to_string(t.name.size()) + " bytes", "1 to 200 bytes");
    const auto& shape = f.get("shape");
    if (!shape.is_array() || shape.size() > 8)
      f.fail("shape", "no list of at most 8 numbers", "a list of at most 8 numbers");
    std::uint64_t elements = 1;
    for (const auto& d : shape) {
      t.shape.push_back(f.integer(d, "shape", 1, 1 << 24));
      elements *= static_cast<std::uint64_t>(t.shape.back());
      if (elements > kMaxFile) f.fail("shape", "more than 2^32 elements", "at most the file's size");
    }
    const std::string type = f.text("dtype");
    if (type != "float32" && type != "float16") f.fail("dtype", type.substr(0, 60), "float32 or float16");
    t.type = type == "float32" ? StoredType::float32 : StoredType::float16;
    t.offset = static_cast<std::uint64_t>(f.integer("offset", 0, static_cast<std::int64_t>(kMaxFile)));
    if (t.offset != round_up(end))
      f.fail("offset", std::to_string(t.offset), std::to_string(round_up(end)) + ", the end of the tensor before it");
    end = t.offset + t.bytes();
    if (end > data_bytes)
      f.fail("shape", std::to_string(end) + " bytes needed", "at most the file's " + std::to_string(data_bytes));
    names.push_back(t.name);
    tensors.push_back(std::move(t));
  }
  if (end != data_bytes)
    throw InputError(Problem{where, "tensor data", std::to_string(data_bytes) + " bytes",
                             std::to_string(end) + " bytes, as the table of parameters says", kFetchAgain});
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    throw InputError(Problem{where, "parameters", "the name " + *twice + " twice", "each name once", kFetchAgain});
  return tensors;
}

struct Lengths {
  std::uint64_t json, data;
};

/// Checks the 32 bytes of the header against the file's size.
Lengths read_header(const std::byte* header, std::uint64_t size, const std::string& where) {
  const auto fail = [&](const char* field, const std::string& found, const std::string& allowed, const char* remedy) {
    throw InputError(Problem{where, field, found, allowed, remedy});
  };
  if (size < kHeader) fail("size", std::to_string(size) + " bytes", "at least the header of 32 bytes", kFetchAgain);
  if (std::memcmp(header, kMagic.data(), kMagic.size()) != 0)
    fail("first 8 bytes", hexadecimal({header, 8}), "\"CRWEIGHT\"", "give a weights file of cryored (*.crw)");
  if (const auto version = number_at<std::uint32_t>(header + 8); version != kVersion)
    fail("version", std::to_string(version), std::to_string(kVersion),
         "use the cryored version that wrote this file, or its own weights");
  if (const auto zero = number_at<std::uint32_t>(header + 12); zero != 0)
    fail("bytes 12 to 15", std::to_string(zero), "0", kFetchAgain);
  const Lengths n{number_at<std::uint64_t>(header + 16), number_at<std::uint64_t>(header + 24)};
  if (n.json == 0 || n.json > kMaxJson)
    fail("length of the metadata", std::to_string(n.json), "1 to 16 MiB", kFetchAgain);
  if ((kHeader + n.json) % kAlign != 0)
    fail("length of the metadata", std::to_string(n.json), "32 less than a multiple of 64", kFetchAgain);
  if (n.data == 0 || n.data > kMaxFile)
    fail("length of the tensor data", std::to_string(n.data), "1 byte to 4 GiB", kFetchAgain);
  const std::uint64_t expected = kHeader + n.json + n.data + kDigest;
  if (size != expected)
    fail("size", std::to_string(size) + " bytes", std::to_string(expected) + " bytes, as its header says",
         size < expected ? "the file is truncated: copy it again" : kFetchAgain);
  return n;
}

WeightsInfo read_metadata(const std::string& text, const Lengths& n, const std::string& where) {
  // Copies and dumps go down recursively: a file of brackets alone would end the program.
  constexpr int kDeepest = 64;
  const auto shallow = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kDeepest)
      throw InputError(Problem{where, "metadata, nesting", "more than " + std::to_string(kDeepest) + " levels",
                               "at most " + std::to_string(kDeepest), kFetchAgain});
    return true;
  };
  const auto json = nlohmann::json::parse(text, shallow, false);
  if (json.is_discarded())
    throw InputError(Problem{where, "metadata", "text that is not JSON", "a JSON object", kFetchAgain});
  const Fields f(json, where);
  WeightsInfo info;
  info.path = where;
  info.name = f.text("name");
  info.licence = f.text("licence");
  info.date = f.text("date");
  const auto& architecture = f.get("architecture");
  if (const Fields type(architecture, where + ": architecture"); type.text("type") == kDenoiserType)
    info.architecture = read_architecture(architecture, where);
  else
    info.model = architecture;
  info.voxel_size = f.real("voxel_size_A", 0.1, 100);
  info.block = static_cast<int>(f.integer("block", 8, 1024));
  if (info.model.is_null() && info.block % info.architecture.multiple() != 0)
    f.fail("block", std::to_string(info.block), "a multiple of " + std::to_string(info.architecture.multiple()));
  f.choice("normalisation", info.normalisation);
  info.training = f.get("training");
  info.metrics = f.get("metrics");
  if (const auto table = json.find("confidence"); table != json.end()) {
    info.confidence = read_confidence(*table, where);
    info.confidence_measured = table->value("measured", nlohmann::json());
  }
  info.tensors = read_table(f.get("parameters"), n.data, where);
  info.data_start = kHeader + n.json;
  info.file_bytes = info.data_start + n.data + kDigest;
  return info;
}

std::ifstream open(const std::string& path, std::uint64_t& size) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  const auto fail = [&](const std::string& found) {
    throw InputError(Problem{path, "weights file", found, "a readable *.crw file",
                             "give its path, or run cryored weights to see which files are found"});
  };
  if (!std::filesystem::exists(status)) fail("no such file");
  if (!std::filesystem::is_regular_file(status)) fail("no regular file");
  size = std::filesystem::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) fail(std::string("cannot be opened: ") + std::strerror(errno));
  if (size > kMaxFile + kMaxJson) fail(std::to_string(size) + " bytes, more than 4 GiB");
  return in;
}

void read_bytes(std::ifstream& in, std::span<std::byte> out, const std::string& path) {
  in.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
  if (static_cast<std::size_t>(in.gcount()) != out.size())
    throw InputError(Problem{path, "content", std::to_string(in.gcount()) + " bytes read", std::to_string(out.size()),
                             "the file shrank or the disk failed: copy it again"});
}

}  // namespace

std::uint64_t StoredTensor::elements() const {
  std::uint64_t n = 1;
  for (const auto d : shape) n *= static_cast<std::uint64_t>(d);
  return n;
}

std::int64_t WeightsInfo::parameters() const {
  std::uint64_t n = 0;
  for (const auto& t : tensors) n += t.elements();
  return static_cast<std::int64_t>(n);
}

std::string WeightsInfo::kind() const {
  return model.is_null() ? architecture.name() : model.value("type", std::string()).substr(0, 60);
}

void require_denoiser(const WeightsInfo& info) {
  if (!info.model.is_null())
    throw InputError(Problem{info.path, "architecture: type", info.kind(), kDenoiserType,
                             "give weights of a denoiser; cryored weights lists what each file is"});
}

WeightsInfo parse_weights_structure(std::span<const std::byte> file, const std::string& name) {
  const Lengths n = read_header(file.data(), file.size(), name);
  const std::string text(reinterpret_cast<const char*>(file.data()) + kHeader, n.json);
  WeightsInfo info = read_metadata(text, n, name);
  info.sha256 = weights_format::hexadecimal(file.last(kDigest));
  return info;
}

WeightsInfo parse_weights(std::span<const std::byte> file, const std::string& name) {
  read_header(file.data(), file.size(), name);
  // The digest comes first: everything after it reads what the writer wrote.
  const std::string computed = sha256_bytes(file.data(), file.size() - kDigest);
  const std::string stored = weights_format::hexadecimal(file.last(kDigest));
  if (computed != stored)
    throw InputError(Problem{name, "SHA-256 at the end", stored, computed + ", that of the content",
                             "the file is damaged: copy it again"});
  return parse_weights_structure(file, name);
}

std::vector<std::byte> read_weights_bytes(const std::string& path) {
  std::uint64_t size = 0;
  std::ifstream in = open(path, size);
  std::vector<std::byte> bytes(size);
  read_bytes(in, bytes, path);
  return bytes;
}

WeightsInfo read_weights_info(const std::string& path) {
  std::uint64_t size = 0;
  std::ifstream in = open(path, size);
  std::vector<std::byte> header(std::min(size, kHeader));
  read_bytes(in, header, path);
  const Lengths n = read_header(header.data(), size, path);
  std::vector<std::byte> text(n.json), digest(kDigest);
  read_bytes(in, text, path);
  in.seekg(static_cast<std::streamoff>(size - kDigest));
  read_bytes(in, digest, path);
  WeightsInfo info = read_metadata(std::string(reinterpret_cast<const char*>(text.data()), text.size()), n, path);
  info.sha256 = weights_format::hexadecimal(digest);
  return info;
}

WeightsInfo read_denoiser_info(const std::string& path) {
  WeightsInfo info = read_weights_info(path);
  require_denoiser(info);
  return info;
}

WeightsInfo verify_weights(const std::string& path) {
  const std::vector<std::byte> bytes = read_weights_bytes(path);
  WeightsInfo info = parse_weights(bytes, path);
  for (const StoredTensor& tensor : info.tensors) tensor_values(bytes, info, tensor);  // finite ones
  return info;
}

std::vector<float> tensor_values(std::span<const std::byte> file, const WeightsInfo& info, const StoredTensor& tensor) {
  const std::uint64_t start = info.data_start + tensor.offset;
  if (start + tensor.bytes() + kDigest > file.size())
    throw InputError(Problem{info.path, tensor.name, std::to_string(file.size()) + " bytes", "the file of this header",
                             kFetchAgain});
  std::vector<float> values(tensor.elements());
  const std::byte* p = file.data() + start;
  if (tensor.type == StoredType::float32) {
    std::memcpy(values.data(), p, tensor.bytes());
  } else {
    std::vector<std::uint16_t> halves(values.size());
    std::memcpy(halves.data(), p, tensor.bytes());
    half_to_float(halves.data(), values.data(), values.size());
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw InputError(Problem{info.path, tensor.name + ", element " + std::to_string(i), std::to_string(values[i]),
                               "finite values", "train again: this network diverged"});
  return values;
}

}  // namespace cryored
