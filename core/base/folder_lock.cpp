#include "core/base/folder_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/base/error.hpp"

namespace cryored {

FolderLock::FolderLock(const std::string& file, const std::string& folder, const std::string& work) {
  open_file(file, folder);
  take(false);
  if (!held())
    throw SystemError(Problem{folder, "folder", "another process " + work, "one at a time",
                              "wait for it or end it, or name another folder"});
}

FolderLock::FolderLock(const std::string& folder, bool wait) {
  std::error_code seen_on_opening;
  std::filesystem::create_directories(folder, seen_on_opening);
  open_file((std::filesystem::path(folder) / ".lock").string(), folder);
  if (const int error = take(wait); error != 0) {
    close(file_);
    throw SystemError(
        Problem{folder, "lock", std::strerror(error), "a file system with locks", "put the folder on another one"});
  }
}

FolderLock::~FolderLock() {
  if (file_ >= 0) close(file_);
}

void FolderLock::open_file(const std::string& file, const std::string& folder) {
  file_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0)
    throw SystemError(Problem{folder, "lock", std::strerror(errno), "a folder that can be written",
                              "make it writable, or name another folder"});
}

int FolderLock::take(bool wait) {
  int error = 0;
  do error = flock(file_, wait ? LOCK_EX : LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  while (error == EINTR);
  if (error != EWOULDBLOCK) return error;
  close(file_);
  file_ = -1;
  return 0;
}

}  // namespace cryored
