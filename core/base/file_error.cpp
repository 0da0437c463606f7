#include "core/base/file_error.hpp"

#include <cerrno>
#include <cstring>

#include "core/base/error.hpp"

namespace cryored {
namespace {

std::string remedy_for(int error, const std::string& path) {
  const std::string folder = folder_of(path);
  switch (error) {
    case ENOSPC:
      return "free space on the file system of " + folder + " (df -h " + folder + "), then run again";
    case EDQUOT:
      return "the disk quota is used up: delete files or ask for more quota (quota -s), then run again";
    case EFBIG:
      return "the file is larger than the limit set for this job or the file system allows: raise it (ulimit -f "
             "unlimited)";
    case EACCES:
    case EPERM:
      return "make the folder " + folder + " writable for this user";
    case EROFS:
      return "the file system of " + folder + " is mounted read-only: write elsewhere or have it remounted";
    case ENOENT:
    case ENOTDIR:
      return "create the folder " + folder + " first, or correct the path";
    case EISDIR:
      return "remove or rename the folder of that name, or choose another output name";
    case ENAMETOOLONG:
      return "choose a shorter output name";
    case EMFILE:
    case ENFILE:
      return "raise the number of open files (ulimit -n)";
    case EIO:
    case ESTALE:
      return "the disk or network file system failed: check it (dmesg), then run again";
    default:
      return "check the file system of " + folder;
  }
}

}  // namespace

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void fail_file(const std::string& path, const std::string& doing, int error) {
  throw SystemError(Problem{path, doing, std::strerror(error), "", remedy_for(error, path)});
}

}  // namespace cryored
