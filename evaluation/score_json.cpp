// The machine-readable form of a score; docs/refinements.md describes it.

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "evaluation/score.hpp"

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::optional<double> optional_number(const Json& json) {
  return json.is_number() ? std::optional<double>(json.get<double>()) : std::nullopt;
}

// JSON knows no infinity: a curve that is never above its threshold has no resolution, null.
Json finite(double value) { return std::isfinite(value) ? Json(value) : Json(); }

double or_infinity(const Json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

Json to_json(const MapScore& s) {
  Json json;
  if (!s.fsc.empty()) json = {{"fsc_0.5_A", finite(s.resolution)}, {"fsc", s.fsc}};
  json["fsc_0.5_masked_A"] = finite(s.resolution_masked);
  json["fsc_masked"] = s.fsc_masked;
  return json;
}

MapScore parse_map_score(const Json& json, int version) {
  MapScore s;
  if (version > 1 && json.contains("fsc")) {
    s.resolution = or_infinity(json.at("fsc_0.5_A"));
    s.fsc = json.at("fsc").get<std::vector<double>>();
  }
  s.resolution_masked = or_infinity(json.at("fsc_0.5_masked_A"));
  s.fsc_masked = json.at("fsc_masked").get<std::vector<double>>();
  return s;
}

Json to_json(const ReconstructionNote& n) {
  Json json = {{"lambda", number_or_null(n.lambda)},
               {"nominal_A", number_or_null(n.resolution)},
               {"seconds", number_or_null(n.seconds)}};
  if (n.kept_noise) json["kept_noise"] = *n.kept_noise;
  if (!n.created.empty()) json["guard"] = {{"created", n.created}, {"bound", number_or_null(n.bound)}};
  return json;
}

template <typename Score>
Json angles_json(const Score& s) {
  return {{"median_deg", finite(s.angle_median)},
          {"percentile_90_deg", finite(s.angle_percentile90)},
          {"share_within_10_deg", finite(s.angle_share_within_10)}};
}

/// Versions 1 and 2 forgave turns that are no symmetry (self_rotations()): what they say is not taken.
template <typename Score>
void read_angles(const Json& json, Score& s, int version) {
  const auto number = [&](const char* name) {
    const Json& value = json.at(name);
    return version < 3 || value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  };
  s.angle_median = number("median_deg");
  s.angle_percentile90 = number("percentile_90_deg");
  s.angle_share_within_10 = number("share_within_10_deg");
}

}  // namespace

std::string score_json(const RefinementScore& score) {
  Json iterations = Json::array();
  for (const IterationScore& it : score.iterations) {
    Json angles = angles_json(it);
    angles["global_rotation_deg"] = it.global_rotation;
    iterations.push_back({{"iteration", it.iteration},
                          {"seconds", it.seconds},
                          {"healpix_order", it.facts.healpix_order},
                          {"current_size", it.facts.current_size},
                          {"relion_resolution_A", it.facts.resolution},
                          {"average_pmax", it.facts.average_pmax},
                          {"half_map_fsc_0.143_A", finite(it.half_map_resolution)},
                          {"half_map_fsc", it.facts.half_fsc},
                          {"halves_to_truth", {to_json(it.halves[0]), to_json(it.halves[1])}},
                          {"mean_to_truth", to_json(it.mean)},
                          {"angular_error", angles},
                          {"reconstructions", {to_json(it.notes[0]), to_json(it.notes[1])}}});
  }
  Json json = {{"schema", "cryored-refine-score"},
               {"version", 3},
               {"box", score.box},
               {"pixel_size_A", score.pixel_size},
               {"final",
                {{"kind", score.final_kind},
                 {"maps", score.final_maps},
                 {"to_truth", to_json(score.final_map)},
                 {"half_map_fsc_0.143_A", finite(score.final_half_map_resolution)},
                 {"half_map_fsc", score.final_half_fsc},
                 {"angular_error", angles_json(score)}}},
               {"iterations", iterations}};
  Json& final = json["final"];
  if (!score.angle_histogram.empty()) final["angular_error"]["share_per_2_deg"] = score.angle_histogram;
  if (score.raw) final["raw_to_truth"] = to_json(*score.raw);
  if (score.denoised) final["denoised_to_truth"] = to_json(*score.denoised);
  if (score.angles_found) final["angles_found_to_truth"] = to_json(*score.angles_found);
  return json_text(json, 1) + "\n";
}

std::string score_json(const MapScore& score) { return json_text(to_json(score)); }

RefinementScore parse_score_json(const std::string& text, const std::string& path) {
  RefinementScore score;
  try {
    const Json json = Json::parse(text);
    const Json& version = json.at("version");
    if (json.at("schema") != "cryored-refine-score" || (version != 1 && version != 2 && version != 3))
      throw InputError({path, "schema and version", json.at("schema").dump() + " " + version.dump(),
                        "\"cryored-refine-score\" 1 to 3", "score the refinement again"});
    const auto map_score = [&version](const Json& map) { return parse_map_score(map, version); };
    score.box = json.at("box");
    score.pixel_size = json.at("pixel_size_A");
    const Json& final = json.at("final");
    score.final_kind = final.at("kind");
    score.final_maps = final.at("maps").get<std::vector<std::string>>();
    score.final_map = map_score(final.at("to_truth"));
    score.final_half_map_resolution = or_infinity(final.at("half_map_fsc_0.143_A"));
    score.final_half_fsc = final.at("half_map_fsc").get<std::vector<double>>();
    read_angles(final.at("angular_error"), score, version);
    if (version == 3 && final.at("angular_error").contains("share_per_2_deg"))
      score.angle_histogram = final.at("angular_error").at("share_per_2_deg").get<std::vector<double>>();
    if (final.contains("raw_to_truth")) score.raw = map_score(final.at("raw_to_truth"));
    if (final.contains("denoised_to_truth")) score.denoised = map_score(final.at("denoised_to_truth"));
    if (final.contains("angles_found_to_truth")) score.angles_found = map_score(final.at("angles_found_to_truth"));
    for (const Json& entry : json.at("iterations")) {
      IterationScore it;
      it.iteration = entry.at("iteration");
      it.seconds = entry.at("seconds");
      it.facts.healpix_order = entry.at("healpix_order");
      it.facts.current_size = entry.at("current_size");
      it.facts.resolution = entry.at("relion_resolution_A");
      it.facts.average_pmax = entry.at("average_pmax");
      it.facts.half_fsc = entry.at("half_map_fsc").get<std::vector<double>>();
      it.half_map_resolution = or_infinity(entry.at("half_map_fsc_0.143_A"));
      it.halves = {map_score(entry.at("halves_to_truth").at(0)), map_score(entry.at("halves_to_truth").at(1))};
      it.mean = map_score(entry.at("mean_to_truth"));
      read_angles(entry.at("angular_error"), it, version);
      it.global_rotation = entry.at("angular_error").at("global_rotation_deg");
      for (std::size_t h = 0; h < 2; ++h) {
        const Json& note = entry.at("reconstructions").at(h);
        it.notes[h].lambda = optional_number(note.at("lambda"));
        it.notes[h].resolution = optional_number(note.at("nominal_A"));
        it.notes[h].seconds = optional_number(note.at("seconds"));
        if (note.contains("kept_noise")) it.notes[h].kept_noise = optional_number(note.at("kept_noise"));
        if (note.contains("guard")) {
          it.notes[h].created = note.at("guard").at("created").get<std::vector<double>>();
          it.notes[h].bound = optional_number(note.at("guard").at("bound"));
        }
      }
      score.iterations.push_back(std::move(it));
    }
  } catch (const nlohmann::json::exception& e) {
    throw InputError({path, "", e.what(), "a score as this program writes it", "score the refinement again"});
  }
  return score;
}

}  // namespace cryored
