#include "training/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "core/base/error.hpp"

namespace cryored {
namespace fs = std::filesystem;

RunFolder::RunFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  const std::string lock = path + "/lock";
  lock_ = error ? -1 : open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0)
    throw SystemError(Problem{path, "folder of the run", error ? error.message() : std::strerror(errno),
                              "a folder that can be written", "give another --run"});
  // File systems without locks are not refused; there the user must see to it.
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(lock_);
    throw SystemError(Problem{path, "folder of the run", "another process trains in it", "one training in a folder",
                              "wait for it or end it, or give another --run"});
  }
  std::vector<fs::path> remains;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.ends_with(".tmp")) remains.push_back(entry.path());
  }
  for (const auto& file : remains) fs::remove(file, error);
}

RunFolder::~RunFolder() { close(lock_); }

}  // namespace cryored
