#include "evaluation/relion_files.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <system_error>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

std::vector<std::string> file_names(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) throw SystemError({folder, "", error.message(), "a folder that can be read", ""});
  return names;
}

double seconds(const std::string& number, const std::string& unit) {
  return std::stod(number) * (unit == "sec" ? 1 : unit == "min" ? 60 : 3600);
}

}  // namespace

std::string RelionIteration::record(int half) const {
  return root + "_half" + std::to_string(half) + "_class001_external_reconstruct_cryored.json";
}

bool complete_star(const std::string& path, const std::string& block) {
  std::ifstream file(path, std::ios::binary);
  std::string end(64, ' ');
  file.seekg(0, std::ios::end);
  file.seekg(-std::min<std::streamoff>(file.tellg(), static_cast<std::streamoff>(end.size())), std::ios::end);
  file.read(end.data(), static_cast<std::streamsize>(end.size()));
  end.resize(static_cast<std::size_t>(file.gcount()));
  const std::size_t last = end.find_last_not_of(" \n\r");
  if (last == std::string::npos || std::count(end.begin() + static_cast<std::ptrdiff_t>(last), end.end(), '\n') < 2)
    return false;
  try {
    return read_star(path).require(block).rows() > 0;
  } catch (const Error&) {
    return false;
  }
}

bool complete_map(const std::string& path) {
  try {
    read_mrc_header(path);  // holds it against the file's size
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<RelionIteration> finished_iterations(const std::string& folder, int after) {
  static const std::regex pattern(R"(^(run(?:_ct(\d+))?_it(\d+))_optimiser\.star$)");
  std::map<int, std::pair<int, RelionIteration>> newest;  // iteration -> (ct, files)
  for (const std::string& name : file_names(folder)) {
    std::smatch match;
    if (!std::regex_match(name, match, pattern)) continue;
    const int continued = match[2].matched ? std::stoi(match[2]) : 0;
    RelionIteration found{std::stoi(match[3]), (fs::path(folder) / match[1].str()).string()};
    if (found.iteration <= after) continue;
    const auto known = newest.find(found.iteration);
    if (known != newest.end() && known->second.first > continued) continue;
    const bool complete = complete_map(found.map(1)) && complete_map(found.map(2)) &&
                          complete_star(found.optimiser(), "optimiser_general") &&
                          complete_star(found.sampling(), "sampling_general") &&
                          complete_star(found.model(1), "model_class_1") &&
                          complete_star(found.model(2), "model_class_1") && complete_star(found.data(), "particles");
    if (complete) newest[found.iteration] = {continued, found};
  }
  std::vector<RelionIteration> out;
  out.reserve(newest.size());
  for (auto& [iteration, entry] : newest) out.push_back(std::move(entry.second));
  return out;
}

std::optional<std::string> joined_result(const std::string& folder) {
  static const std::regex pattern(R"(^(run(?:_ct(\d+))?)_class001\.mrc$)");
  std::optional<std::string> root;
  int newest = -1;
  for (const std::string& name : file_names(folder)) {
    std::smatch match;
    if (!std::regex_match(name, match, pattern)) continue;
    const int continued = match[2].matched ? std::stoi(match[2]) : 0;
    const std::string candidate = (fs::path(folder) / match[1].str()).string();
    if (continued <= newest || !complete_map(candidate + "_class001.mrc") ||
        !complete_star(candidate + "_model.star", "model_class_1") ||
        !complete_star(candidate + "_sampling.star", "sampling_general") ||
        !complete_star(candidate + "_data.star", "particles"))
      continue;
    newest = continued;
    root = candidate;
  }
  return root;
}

std::optional<std::string> denoised_joined_map(const std::string& folder) {
  static const std::regex pattern(R"(^run(?:_ct\d+)?_it(\d+)_class001_external_reconstruct_denoised\.mrc$)");
  if (!joined_result(folder)) return {};
  std::optional<std::string> path;
  int newest = -1;
  for (const std::string& name : file_names(folder)) {
    std::smatch match;
    if (!std::regex_match(name, match, pattern) || std::stoi(match[1]) <= newest) continue;
    newest = std::stoi(match[1]);
    path = (fs::path(folder) / name).string();
  }
  return path;
}

IterationFacts read_facts(const std::string& model_star, const std::string& sampling_star) {
  const StarFile model = read_star(model_star), sampling = read_star(sampling_star);
  const StarTable& general = model.require("model_general");
  const StarTable& shells = model.require("model_class_1");
  const StarTable& angles = sampling.require("sampling_general");
  IterationFacts facts;
  facts.healpix_order = static_cast<int>(angles.integer(0, "rlnHealpixOrder"));
  facts.current_size = static_cast<int>(general.integer(0, "rlnCurrentImageSize"));
  facts.pixel_size = general.number(0, "rlnPixelSize");
  facts.padding = general.number(0, "rlnPaddingFactor");
  facts.resolution = general.number(0, "rlnCurrentResolution");
  facts.average_pmax = general.number(0, "rlnAveragePmax");
  facts.half_fsc.reserve(shells.rows());
  for (std::size_t row = 0; row < shells.rows(); ++row)
    facts.half_fsc.push_back(shells.number(row, "rlnGoldStandardFsc"));
  return facts;
}

LogProgress parse_log(const std::string& text) {
  struct Marker {
    const char* words;
    const char* phase;
  };
  static constexpr Marker markers[] = {{"Expectation iteration ", "expectation"},
                                       {"Maximization", "maximization"},
                                       {"Estimating accuracies", "accuracy"}};
  LogProgress progress;
  progress.phase = "start";
  std::size_t from = 0;
  for (const Marker& marker : markers) {
    const std::size_t at = text.rfind(marker.words);
    if (at == std::string::npos || at < from) continue;
    from = at;
    progress.phase = marker.phase;
  }
  if (const std::size_t at = text.rfind("Expectation iteration "); at != std::string::npos)
    progress.iteration = std::atoi(text.c_str() + at + sizeof("Expectation iteration ") - 1);

  // RELION redraws "  elapsed/ total unit ....~~(,_," in one line; the last one counts.
  static const std::regex bar(R"((\d+(?:\.\d+)?)/\s*(\d+(?:\.\d+)?) (sec|min|hrs))");
  for (std::sregex_iterator it(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), bar), end; it != end;
       ++it) {
    progress.elapsed = seconds((*it)[1], (*it)[3]);
    progress.total = seconds((*it)[2], (*it)[3]);
  }
  return progress;
}

std::string relion_version_in(const std::string& log_text) {
  static const std::regex pattern(R"(RELION version: (\S+))");
  // "VECTOR-ACC=single" and the like: another code path of the same version, chosen when RELION was built.
  static const std::regex acceleration(R"(Precision: BASE=\w+, (\w[\w-]*=\w+))");
  std::smatch match, accelerated;
  if (!std::regex_search(log_text, match, pattern)) return {};
  return match[1].str() + (std::regex_search(log_text, accelerated, acceleration) ? " " + accelerated[1].str() : "");
}

}  // namespace cryored
