#include "daemon/claim.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/base/error.hpp"
#include "daemon/exchange.hpp"

namespace cryored::daemon {
namespace {

/// A file of /proc whole, without the newline at its end.
std::string proc_text(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char bytes[4096];
  const ssize_t count = read(fd, bytes, sizeof bytes);
  close(fd);
  std::string text(bytes, count > 0 ? static_cast<std::size_t>(count) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

/// Field 22 of /proc/PID/stat, ticks since the machine's start; empty where there is no such process. A zombie is dead.
std::string start_of(const std::string& pid) {
  const std::string text = proc_text("/proc/" + pid + "/stat");
  const auto name_end = text.rfind(')');  // the name may hold anything
  if (name_end == text.npos || name_end + 2 >= text.size() || text[name_end + 2] == 'Z') return "";
  std::size_t at = name_end + 2;
  for (int field = 3; field < 22 && at != text.npos; ++field) {
    at = text.find(' ', at);
    if (at != text.npos) ++at;
  }
  return at == text.npos ? "" : text.substr(at, text.find(' ', at) - at);
}

std::string machine() {
  char name[PATH_MAX];
  const ssize_t count = readlink("/proc/self/ns/pid", name, sizeof name);
  const std::string boot = proc_text("/proc/sys/kernel/random/boot_id");
  return boot.empty() || count <= 0 ? "" : boot + "/" + std::string(name, static_cast<std::size_t>(count));
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

[[noreturn]] void fail(const std::string& path, const char* doing, int error) {
  throw SystemError(Problem{path, doing, std::strerror(error), "a folder that this user may write to",
                            "make " + folder_of(path) + " writable for this user, and see that its disk has room"});
}

bool write_all(int fd, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t done = write(fd, text.data() + at, text.size() - at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += static_cast<std::size_t>(done);
  }
  return fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
}

void sync_folder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

/// For file systems without hard links. Readers may see the file before its text, which they take for a young one.
bool create_in_place(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) {
    if (errno == EEXIST) return false;
    fail(path, "cannot create", errno);
  }
  const bool written = write_all(fd, text);
  const int error = errno;
  close(fd);
  if (!written) {
    unlink(path.c_str());
    fail(path, "cannot write", error);
  }
  return true;
}

/// A file without a name until it is whole, so that a killed process leaves nothing. Network file systems have none.
enum class Made { yes, exists, not_this_way };
Made create_nameless(const std::string& path, const std::string& folder, const std::string& text) {
  const int fd = open(folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
  if (fd < 0) return Made::not_this_way;
  Made made = Made::not_this_way;
  if (write_all(fd, text)) {
    const std::string name = "/proc/self/fd/" + std::to_string(fd);
    if (linkat(AT_FDCWD, name.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0)
      made = Made::yes;
    else if (errno == EEXIST)
      made = Made::exists;
  }
  close(fd);
  return made;
}

}  // namespace

std::string own_holder() {
  const std::string pid = std::to_string(getpid()), start = start_of("self"), here = machine();
  return here.empty() || start.empty() ? "" : here + "/" + pid + "/" + start;
}

bool holder_is_dead(const std::string& holder) {
  const auto start_at = holder.rfind('/');
  if (start_at == holder.npos || start_at == 0) return false;
  const auto pid_at = holder.rfind('/', start_at - 1);
  if (pid_at == holder.npos || holder.substr(0, pid_at) != machine()) return false;
  const std::string pid = holder.substr(pid_at + 1, start_at - pid_at - 1);
  if (pid.empty() || pid.find_first_not_of("0123456789") != pid.npos) return false;
  return start_of(pid) != holder.substr(start_at + 1);
}

bool create_exclusively(const std::string& path, const std::string& text) {
  const std::string folder = folder_of(path);
  if (const Made made = create_nameless(path, folder, text); made != Made::not_this_way) {
    sync_folder(folder);
    return made == Made::yes;
  }
  // Short, so that a long name does not get too long.
  const std::string temporary = folder + "/.cryored-" + random_digits(24) + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, "cannot create", errno);
  const bool written = write_all(fd, text);
  int error = errno;
  if (!written) {
    close(fd);
    unlink(temporary.c_str());
    fail(path, "cannot write", error);
  }
  int linked = link(temporary.c_str(), path.c_str());
  error = errno;
  // Over NFS the reply may get lost although the server made the link: the count of links knows.
  struct stat info {};
  if (linked != 0 && fstat(fd, &info) == 0 && info.st_nlink == 2) linked = 0;
  close(fd);
  unlink(temporary.c_str());
  if (linked == 0) {
    sync_folder(folder);
    return true;
  }
  if (error == EEXIST) return false;
  if (error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK) return create_in_place(path, text);
  fail(path, "cannot create", error);
}

int highest_generation(const std::string& star, const std::string& nonce) {
  int generation = -1;
  struct stat info {};
  while (generation < 1000 && lstat(answer_file(star, nonce, generation + 1).c_str(), &info) == 0) ++generation;
  return generation;
}

bool Stillness::see(std::uint64_t value, double now) {
  if (seen_ && value == value_) {
    still_ += std::clamp(now - last_, 0.0, most_);
    last_ = now;
    return false;
  }
  const bool changed = seen_;
  seen_ = true;
  value_ = value;
  still_ = 0;
  last_ = now;
  return changed;
}

}  // namespace cryored::daemon
