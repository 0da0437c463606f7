#include "core/base/folder_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.hpp"

namespace cryored {

FolderLock::FolderLock(const std::string& file, const std::string& folder, const std::string& work) {
  file_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0)
    throw SystemError(Problem{folder, "lock", std::strerror(errno), "a folder that can be written",
                              "make it writable, or name another folder"});
  if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close(file_);
    throw SystemError(Problem{folder, "folder", "another process " + work, "one at a time",
                              "wait for it or end it, or name another folder"});
  }
}

FolderLock::~FolderLock() { close(file_); }

}  // namespace cryored
