#include "training/run_folder.hpp"

#include <filesystem>
#include <vector>

#include "core/base/error.hpp"

namespace cryored {
namespace fs = std::filesystem;

RunFolder::RunFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    throw SystemError(
        Problem{path, "folder of the run", error.message(), "a folder that can be written", "give another --run"});
  lock_.emplace(path + "/lock", path, "trains in it");
  std::vector<fs::path> remains;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.ends_with(".tmp")) remains.push_back(entry.path());
  }
  for (const auto& file : remains) fs::remove(file, error);
}

}  // namespace cryored
