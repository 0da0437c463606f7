#include "evaluation/benchmark_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/sha256.hpp"
#include "evaluation/compressed_map.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

/// Five digits hold all that a curve says, and keep the file small.
void round_numbers(Json& json) {
  if (json.is_number_float()) {
    const double v = json.get<double>();
    if (v == 0 || !std::isfinite(v)) return;
    const double unit = std::pow(10, 4 - std::floor(std::log10(std::abs(v))));
    // Below 1e-4 nothing that is a share, a correlation or a time matters.
    const double coarse = std::round(v * 1e4) / 1e4, fine = std::round(v * unit) / unit;
    json = std::abs(v) < 1 ? coarse : fine;
  } else {
    for (Json& part : json) part.is_structured() || part.is_number_float() ? round_numbers(part) : void();
  }
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw SystemError({path, "", "cannot be opened", "a file that can be read", ""});
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path record_path(const std::string& folder, const std::string& data_set, const std::string& keyed) {
  return fs::path(folder) / data_set / (keyed + ".json");
}

}  // namespace

double CellRecord::requested_snr() const { return factor > 0 ? 0 : Json::parse(particles).value("snr", 0.0); }

std::string CellRecord::map_path() const { return path.substr(0, path.size() - 5) + ".mrc.gz"; }

const std::string& WeightsIdentity::key(const std::string& mode) const {
  const std::string base = mode_parts(mode).base;
  const bool reads_table = base == "per-shell" || base == "default";
  return reads_table || network_sha256.empty() ? sha256 : network_sha256;
}

WeightsIdentity joint_identity(const std::vector<WeightsIdentity>& several, const std::string& rule) {
  if (several.size() == 1) return several.front();
  WeightsIdentity joint;
  std::string files = rule, networks = rule;
  for (const WeightsIdentity& each : several) {
    joint.name += (joint.name.empty() ? "" : "+") + each.name;
    files += each.sha256;
    networks += each.network_sha256;
  }
  joint.sha256 = sha256_bytes(files.data(), files.size());
  joint.network_sha256 = sha256_bytes(networks.data(), networks.size());
  return joint;
}

std::string keyed_mode(const std::string& mode, const std::string& weights_key) {
  return weights_key.empty() ? mode : mode + "@" + weights_key.substr(0, 8);
}

std::string record_json(const CellRecord& r) {
  Json score = Json::parse(score_json(r.score));
  score["final"].erase("maps");  // names of the machine that ran it
  round_numbers(score);
  Json json = {{"schema", "cryored-benchmark-cell"},
               {"version", 1},
               {"data_set", r.data_set},
               {"structure", r.structure},
               {"mode", r.mode},
               {"group", r.group},
               {"large", r.large},
               {"particles", Json::parse(r.particles)},
               {"structure_sha256", r.structure_sha256},
               {"image_snr", r.snr},
               {"weights", r.weights.sha256.empty() ? Json()
                                                    : Json({{"name", r.weights.name},
                                                            {"sha256", r.weights.sha256},
                                                            {"network_sha256", r.weights.network_sha256}})},
               {"program", {{"version", r.program_version}, {"commit", r.program_commit}}},
               {"relion", {{"version", r.relion_version}, {"relion_refine_mpi_sha256", r.relion_sha256}}},
               {"command", r.command},
               {"external_reconstruct", r.external},
               {"end", r.end},
               {"seconds", r.seconds},
               {"cpu_seconds", r.cpu_seconds},
               {"map_scale", r.map_scale}};
  if (r.structure_sha256.empty()) json.erase("structure_sha256");
  // One line for each part that a person may want to look at; the curves in the last.
  std::string text = "{\n";
  for (const auto& [key, value] : json.items()) text += " " + json_text(Json(key)) + ": " + json_text(value) + ",\n";
  return text + " \"score\": " + json_text(score) + "\n}\n";
}

CellRecord parse_record(const std::string& text, const std::string& path) {
  CellRecord r;
  try {
    const Json json = Json::parse(text);
    if (json.at("schema") != "cryored-benchmark-cell" || json.at("version") != 1)
      throw InputError({path, "schema and version", json.at("schema").dump() + " " + json.at("version").dump(),
                        "\"cryored-benchmark-cell\" 1", "remove the file and run the benchmark again"});
    r.data_set = json.at("data_set");
    r.structure = json.at("structure");
    r.mode = json.at("mode");
    r.group = json.at("group");
    r.large = json.at("large");
    r.particles = json_text(json.at("particles"));
    r.structure_sha256 = json.value("structure_sha256", "");
    r.snr = json.at("image_snr");
    r.factor = json.at("particles").value("factor", 0.0);
    r.seed = json.at("particles").at("seed");
    if (!json.at("weights").is_null()) {
      r.weights.name = json.at("weights").at("name");
      r.weights.sha256 = json.at("weights").at("sha256");
      r.weights.network_sha256 = json.at("weights").value("network_sha256", "");
    }
    r.program_version = json.at("program").at("version");
    r.program_commit = json.at("program").at("commit");
    r.relion_version = json.at("relion").at("version");
    r.relion_sha256 = json.at("relion").at("relion_refine_mpi_sha256");
    r.command = json.at("command").get<std::vector<std::string>>();
    r.external = json.at("external_reconstruct");
    r.end = json.at("end");
    r.seconds = json.at("seconds");
    r.cpu_seconds = json.at("cpu_seconds");
    r.map_scale = json.at("map_scale");
    Json score = json.at("score");
    score.at("final")["maps"] = Json::array();
    r.score = parse_score_json(json_text(score), path);
  } catch (const nlohmann::json::exception& e) {
    throw InputError(
        {path, "", e.what(), "a record as this program writes it", "remove the file and run the benchmark again"});
  }
  r.path = path;
  return r;
}

std::string write_record(const std::string& folder, CellRecord record, const Map* final_map) {
  const fs::path path = record_path(folder, record.data_set, keyed_mode(record.mode, record.key()));
  fs::create_directories(path.parent_path());
  record.path = path.string();
  record.map_scale = final_map ? write_compressed_map(record.map_path(), *final_map, record.score.pixel_size) : 0;
  write_text_atomically(record.path, record_json(record));
  return record.path;
}

bool rescore(CellRecord& record, const std::string& truth, double padding) {
  if (record.map_scale <= 0) return false;
  MapScore& map = record.score.final_map;
  map.fsc = fsc_without_mask(read_compressed_map(record.map_path()), read_compressed_map(truth), padding);
  map.resolution = resolution_at(map.fsc, 0.5, record.score.box, record.score.pixel_size);
  write_text_atomically(record.path, record_json(record));
  return true;
}

std::string truth_path(const std::string& folder, const std::string& structure, const ParticleOptions& options) {
  std::string name = fmt::format("{}_box{}_{:g}A", structure, options.box, options.pixel_size);
  const ParticleOptions usual;
  if (options.factor > 0)
    name += fmt::format("_pdb2mrc{:g}A", options.pdb2mrc_resolution);  // which knows no B factor
  else if (options.b_factor != usual.b_factor)
    name += fmt::format("_B{:g}", options.b_factor);
  if (options.hydrogens) name += "_hydrogens";
  return (fs::path(folder) / "truth" / (name + ".mrc.gz")).string();
}

std::vector<CellRecord> read_records(const std::string& folder,
                                     const std::function<void(const std::string& path, const Error&)>& damaged) {
  std::vector<CellRecord> records;
  if (!fs::exists(folder)) return records;
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().extension() == ".json" &&
        !entry.path().filename().string().starts_with("."))
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    try {
      records.push_back(parse_record(read_text(path.string()), path.string()));
    } catch (const Error& e) {
      if (!damaged) throw;
      damaged(path.string(), e);
    }
  }
  return records;
}

std::optional<CellRecord> read_record(const std::string& folder, const std::string& data_set, const std::string& mode,
                                      const std::string& weights_key) {
  const fs::path path = record_path(folder, data_set, keyed_mode(mode, weights_key));
  if (!fs::exists(path)) return {};
  return parse_record(read_text(path.string()), path.string());
}

}  // namespace cryored
