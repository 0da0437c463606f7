#include "cli/doctor_job.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "cli/record.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

int iteration_of(const std::string& name) {
  static const std::regex pattern("_it([0-9]{3,})_");
  std::smatch match;
  return std::regex_search(name, match, pattern) ? std::stoi(match[1]) : -1;
}

template <typename T>
T value_or(const Json& json, const char* pointer, T fallback) {
  const auto* found = json.is_object() ? &json : nullptr;
  const Json::json_pointer path(pointer);
  if (!found || !json.contains(path)) return fallback;
  const Json& value = json.at(path);
  if constexpr (std::is_same_v<T, std::string>)
    return value.is_string() ? value.get<std::string>() : fallback;
  else if constexpr (std::is_same_v<T, bool>)
    return value.is_boolean() ? value.get<bool>() : fallback;
  else
    return value.is_number() ? value.get<T>() : fallback;
}

void judge(JobMap& map, const fs::path& stem) {
  const std::string result = stem.string() + ".mrc", record_file = stem.string() + "_cryored.json";
  if (!fs::exists(result)) {
    map.origin = MapOrigin::missing;
    map.note = "RELION asked for this map and there is none: the call failed, or runs now";
    return;
  }
  map.origin = MapOrigin::other;
  std::ifstream file(record_file);
  if (!file) {
    map.note = "no record of cryored beside it";
    return;
  }
  const Json record = Json::parse(file, nullptr, false);
  if (record.is_discarded() || value_or<std::string>(record, "/schema", "") != record_schema) {
    map.note = "its record cannot be read: " + record_file;
    return;
  }
  if (value_or<std::string>(record, "/result/sha256", "") != sha256_file(result)) {
    map.note = "overwritten by another program after cryored had made it";
    return;
  }
  const bool ran = value_or<bool>(record, "/denoiser/ran", false);
  map.origin = ran ? MapOrigin::denoised : MapOrigin::gaussian;
  if (!ran) map.note = value_or<std::string>(record, "/denoiser/reason", "");
  map.lambda = value_or<double>(record, "/denoiser/lambda", -1);
  map.resolution = value_or<double>(record, "/resolution/nominal_A", -1);
  if (const Json::json_pointer kept("/denoiser/kept_noise"); record.contains(kept) && record[kept].is_number())
    map.kept_noise = record[kept];
  map.device = value_or<std::string>(record, "/device/name", "");
  map.seconds = value_or<double>(record, "/timings_s/total", -1);
}

// The second or third comment line of an optimiser file is RELION's command line.
std::string command_line_of(const fs::path& optimiser) {
  std::ifstream file(optimiser);
  std::string line;
  for (int i = 0; i < 10 && std::getline(file, line); ++i)
    if (line.rfind("# --", 0) == 0) return line.substr(2);
  return "";
}

}  // namespace

JobReport examine_job(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw InputError(Problem{folder, "job folder", fs::exists(folder, error) ? "a file" : "nothing", "a folder",
                             "name the folder of a RELION job, as Refine3D/job012"});
  const std::string suffix = "_external_reconstruct.star";
  static const std::regex iteration_map("(.*)_it([0-9]{3,})(_half[12])?_(class|body)[0-9]{3}\\.mrc");
  JobReport report;
  std::set<int> asked, with_maps;
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    std::smatch match;
    if (name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0) {
      JobMap map;
      map.name = name.substr(0, name.size() - suffix.size());
      map.iteration = iteration_of(name);
      judge(map, entry.path().parent_path() / name.substr(0, name.size() - std::string(".star").size()));
      asked.insert(map.iteration);
      report.maps.push_back(std::move(map));
    } else if (std::regex_match(name, match, iteration_map)) {
      const int iteration = std::stoi(match[2]);
      if (iteration > 0) with_maps.insert(iteration);  // 0 is the starting map
    } else if (name.find("_optimiser.star") != std::string::npos &&
               (newest.empty() || name > newest.filename().string())) {
      newest = entry.path();
    }
  }
  if (report.maps.empty() && with_maps.empty() && newest.empty())
    throw InputError(Problem{folder, "job folder", "no map, request or optimiser file of RELION",
                             "a folder that holds run_itNNN_... files", "name the folder of a RELION job"});
  std::set_difference(with_maps.begin(), with_maps.end(), asked.begin(), asked.end(),
                      std::back_inserter(report.iterations_not_asked));
  std::sort(report.maps.begin(), report.maps.end(), [](const JobMap& a, const JobMap& b) {
    return std::tie(a.iteration, a.name) < std::tie(b.iteration, b.name);
  });
  if (!newest.empty()) report.command_line = command_line_of(newest);
  return report;
}

}  // namespace cryored
