#include <cstdlib>
#include <filesystem>
#include <set>

#include "core/base/error.hpp"
#include "models/weights_file.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

/// The .crw files of one entry of the search path (a folder or a file), sorted by name.
std::vector<std::string> files_at(const std::string& entry) {
  std::error_code ignored;
  if (fs::is_regular_file(entry, ignored)) return {entry};
  std::set<std::string> found;
  for (fs::directory_iterator it(entry, ignored), end; !ignored && it != end; it.increment(ignored))
    if (it->path().extension() == ".crw" && fs::is_regular_file(it->path(), ignored)) found.insert(it->path().string());
  return {found.begin(), found.end()};
}

std::string own_variable() {
  const char* variable = std::getenv("CRYORED_WEIGHTS");
  return variable ? variable : "";
}

std::vector<std::string> search_path(const std::string& variable) {
  std::vector<std::string> path;
  if (!variable.empty()) path.push_back(variable);
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) path.push_back((program.parent_path().parent_path() / "share" / "cryored" / "weights").string());
#ifdef CRYORED_SOURCE_WEIGHTS
  path.emplace_back(CRYORED_SOURCE_WEIGHTS);
#endif
  return path;
}

void require_existing(const std::string& variable) {
  std::error_code ignored;
  if (!variable.empty() && !fs::exists(variable, ignored))
    throw InputError(Problem{"environment variable CRYORED_WEIGHTS", "", variable, "an existing file or folder",
                             "correct the variable or unset it"});
}

}  // namespace

std::vector<std::string> weights_search_path() { return search_path(own_variable()); }

std::vector<std::string> list_weights(const std::string& variable) {
  require_existing(variable);
  std::vector<std::string> files;
  std::set<std::string> names;
  for (const auto& entry : search_path(variable))
    for (const auto& file : files_at(entry))
      if (names.insert(fs::path(file).filename().string()).second) files.push_back(file);
  return files;
}

std::string find_weights(const std::string& request) { return find_weights(request, own_variable()); }

std::string find_weights(const std::string& request, const std::string& variable, const std::string& usual) {
  std::error_code ignored;
  const auto path = search_path(variable);
  require_existing(variable);
  if (!request.empty() && fs::is_regular_file(request, ignored)) return request;
  const bool is_path = request.find('/') != std::string::npos;
  if (request.empty() && !path.empty() && fs::is_regular_file(path.front(), ignored)) return path.front();
  const std::string name = request.empty() ? usual : request;
  std::string looked;
  for (const auto& entry : path) {
    looked += (looked.empty() ? "" : ", ") + entry;
    if (is_path) continue;
    for (const auto& file : files_at(entry)) {
      const auto found = fs::path(file).filename();
      if (found == name || found == name + ".crw") return file;
    }
  }
  throw InputError(Problem{is_path ? request : name, "weights file", "no such file",
                           is_path ? "an existing *.crw file" : "a path, or the name of a *.crw file in " + looked,
                           "run cryored weights to see which files are found, or set CRYORED_WEIGHTS"});
}

std::vector<std::string> find_denoisers(const std::string& request, const std::string& variable) {
  std::error_code ignored;
  require_existing(variable);
  if (request.empty() && !fs::is_regular_file(variable, ignored))
    for (const auto& entry : search_path(variable)) {
      std::vector<std::string> denoisers;
      for (const auto& file : files_at(entry))
        if (fs::path(file).filename().string().rfind("denoiser-", 0) == 0) denoisers.push_back(file);
      if (!denoisers.empty()) return denoisers;
    }
  return {find_weights(request, variable)};
}

}  // namespace cryored
