#include "evaluation/phase_json.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/formats/mrc.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json finite(const std::vector<double>& values) {
  Json out = Json::array();
  for (const double v : values) out.push_back(finite(v));
  return out;
}

std::vector<double> or_infinity(const Json& json) {
  std::vector<double> out;
  for (const Json& v : json) out.push_back(v.is_null() ? std::numeric_limits<double>::infinity() : v.get<double>());
  return out;
}

struct Field {
  const char* name;
  std::vector<double> PhaseScore::*values;
};
constexpr Field kFields[] = {{"single_frc_0.5_A", &PhaseScore::single_resolution},
                             {"single_area", &PhaseScore::single_area},
                             {"mean_frc_0.5_A", &PhaseScore::mean_resolution},
                             {"mean_area", &PhaseScore::mean_area},
                             {"single_outline_area", &PhaseScore::single_outline},
                             {"mean_outline_area", &PhaseScore::mean_outline},
                             {"contrast", &PhaseScore::contrast},
                             {"blank_power", &PhaseScore::blank_power},
                             {"blank_area", &PhaseScore::blank_area},
                             {"blank_repeat", &PhaseScore::blank_repeat},
                             {"wrong_area", &PhaseScore::wrong_area},
                             {"single_frc", &PhaseScore::single_frc},
                             {"mean_frc", &PhaseScore::mean_frc}};

}  // namespace

Json to_json(const PhaseScore& score) {
  Json json;
  for (const Field& field : kFields) json[field.name] = finite(score.*field.values);
  json["seconds_per_image"] = score.seconds;
  return json;
}

PhaseScore phase_score(const Json& json, const std::string& where) {
  PhaseScore score;
  try {
    for (const Field& field : kFields) score.*field.values = or_infinity(json.at(field.name));
    score.seconds = json.at("seconds_per_image");
  } catch (const nlohmann::json::exception& e) {
    throw InputError({where, "score", e.what(), "a score as this program writes it", "remove the file and run again"});
  }
  return score;
}

Json to_json(const PhaseSummary& s) {
  return {{"single_frc_0.5_A", finite(s.single_resolution)},
          {"single_area", s.single_area},
          {"mean_frc_0.5_A", finite(s.mean_resolution)},
          {"mean_area", s.mean_area},
          {"single_outline_area", s.single_outline},
          {"mean_outline_area", s.mean_outline},
          {"contrast", s.contrast},
          {"blank_power", s.blank_power},
          {"blank_area", s.blank_area},
          {"blank_repeat", s.blank_repeat},
          {"wrong_area", s.wrong_area},
          {"seconds_per_image", s.seconds}};
}

Json to_json(const PhaseComparison& c) {
  return {{"structure", c.structure},
          {"dose", c.dose},
          {"images", c.mean ? "mean" : "single"},
          {"baseline", c.baseline},
          {"area", c.area},
          {"baseline_area", c.other_area},
          {"ratio", finite(c.ratio)},
          {"ratio_95_percent", {finite(c.low), finite(c.high)}},
          {"frc_0.5_A", finite(c.resolution)},
          {"baseline_frc_0.5_A", finite(c.other_resolution)},
          {"share_with_more_area", c.share_better},
          {"outline_ratio", finite(c.outline_ratio)},
          {"area_met", c.area_met},
          {"frc_0.5_met", c.resolution_met}};
}

void keep_phase_score(const std::string& folder, const std::string& name, const Json& key, const PhaseScore& score) {
  const std::string base = (fs::path(folder) / name).string();
  Map pictures(score.single.nx, score.single.ny, 2);
  std::copy(score.single.data.begin(), score.single.data.end(), pictures.data.begin());
  std::copy(score.mean.data.begin(), score.mean.data.end(),
            pictures.data.begin() + static_cast<std::ptrdiff_t>(score.single.size()));
  write_mrc(base + ".mrc", pictures, 0, MrcMode::float32, true);
  const Json json = {{"schema", "cryored-phase-score"}, {"version", 2}, {"key", key}, {"score", to_json(score)}};
  write_text_atomically(base + ".json", json_text(json, 1) + "\n");
}

std::optional<PhaseScore> kept_phase_score(const std::string& folder, const std::string& name, const Json& key) {
  const std::string base = (fs::path(folder) / name).string();
  std::ifstream file(base + ".json");
  if (!file) return {};
  const Json json = Json::parse(file, nullptr, false);
  if (json.is_discarded() || !json.is_object() || json.value("schema", "") != "cryored-phase-score")
    throw InputError({base + ".json", "schema", "no score", "cryored-phase-score", "remove the file and run again"});
  if (json.value("version", 0) != 2 || !json.contains("key") || json["key"] != key || !fs::exists(base + ".mrc"))
    return {};
  PhaseScore score = phase_score(json.value("score", Json()), base + ".json");
  const Map pictures = read_mrc(base + ".mrc");
  const std::size_t area = pictures.nx * pictures.ny;
  for (Map* map : {&score.single, &score.mean}) *map = Map(pictures.nx, pictures.ny, 1);
  std::copy_n(pictures.data.begin(), area, score.single.data.begin());
  std::copy_n(pictures.data.begin() + static_cast<std::ptrdiff_t>(area), area, score.mean.data.begin());
  return score;
}

}  // namespace cryored
