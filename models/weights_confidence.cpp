#include "models/weights_confidence.hpp"

#include <cmath>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

constexpr const char* kCalibrate = "measure it again: cryored-calibrate --weights FILE --out FILE PAIRS...";

std::vector<double> numbers(const nlohmann::json& json, const char* field, double low, double high, std::size_t most,
                            const std::string& where) {
  const auto refuse = [&](const std::string& found) {
    throw InputError(
        Problem{where, std::string("confidence: ") + field, found,
                "1 to " + std::to_string(most) + " numbers from " + std::to_string(low) + " to " + std::to_string(high),
                kCalibrate});
  };
  const auto it = json.find(field);
  if (it == json.end()) refuse("nothing");
  if (!it->is_array() || it->empty() || it->size() > most)
    refuse(it->is_array() ? std::to_string(it->size()) + " values" : it->type_name());
  std::vector<double> values;
  for (const auto& v : *it) {
    if (!v.is_number() || !(v.get<double>() >= low && v.get<double>() <= high)) refuse(v.dump().substr(0, 40));
    values.push_back(v.get<double>());
  }
  return values;
}

std::vector<double> nodes(const nlohmann::json& json, const char* field, double low, double high,
                          const std::string& where) {
  auto values = numbers(json, field, low, high, 256, where);
  for (std::size_t i = 1; i < values.size(); ++i)
    if (!(values[i] > values[i - 1]))
      throw InputError(Problem{where, std::string("confidence: ") + field,
                               std::to_string(values[i]) + " after " + std::to_string(values[i - 1]), "ascending nodes",
                               kCalibrate});
  return values;
}

}  // namespace

nlohmann::json confidence_json(const ConfidenceTable& table) {
  nlohmann::json json = {{"frequency_per_A", table.frequency},
                         {"nominal_per_A", table.nominal},
                         {"half_map_fsc", table.half_fsc},
                         {"lambda", table.lambda}};
  if (table.prior_weight != 1) json["prior_weight"] = table.prior_weight;  // files of before stay what they are
  return json;
}

ConfidenceTable read_confidence(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) throw InputError(Problem{where, "confidence", json.type_name(), "a JSON object", kCalibrate});
  ConfidenceTable table;
  table.frequency = nodes(json, "frequency_per_A", 0, 100, where);
  table.nominal = nodes(json, "nominal_per_A", 0, 100, where);
  table.half_fsc = nodes(json, "half_map_fsc", -1, 1, where);
  table.lambda = numbers(json, "lambda", 0, 1, 1u << 20, where);
  if (table.lambda.size() != table.nodes())
    throw InputError(Problem{where, "confidence: lambda", std::to_string(table.lambda.size()) + " values",
                             std::to_string(table.nodes()) + ", one per node", kCalibrate});
  if (const auto it = json.find("prior_weight"); it != json.end()) {
    if (!it->is_number() || !(it->get<double>() >= 1 && it->get<double>() <= 1e6))
      throw InputError(
          Problem{where, "confidence: prior_weight", it->dump().substr(0, 40), "a number from 1 to 1e6", kCalibrate});
    table.prior_weight = *it;
  }
  return table;
}

const ConfidenceTable& confidence_of(const WeightsInfo& info) {
  if (!info.confidence)
    throw InputError(
        Problem{info.path, "confidence", "nothing", "the table that a confidence per shell needs",
                "add it with cryored-calibrate --weights FILE --out FILE PAIRS..., or use --prior cw-red or red"});
  return *info.confidence;
}

WeightsInfo save_confidence(const std::string& from, const ConfidenceTable& table, const nlohmann::json& measured,
                            const std::string& to) {
  const auto bytes = read_weights_bytes(from);
  WeightsInfo info = parse_weights(bytes, from);
  std::vector<TensorSource> tensors;
  for (const auto& tensor : info.tensors)
    tensors.push_back({tensor.name, tensor.shape, tensor_values(bytes, info, tensor)});
  info.confidence = table;
  info.confidence_measured = measured;
  // float16 values are exact in float32 and back.
  const auto out = encode_weights(info, tensors, info.tensors.front().type);
  WeightsInfo written = parse_weights(out, to);
  AtomicFile file(to);
  file.write(out.data(), out.size());
  file.commit();
  return written;
}

}  // namespace cryored
