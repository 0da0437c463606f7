#include "core/base/atomic_file.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>

#include "core/base/checkpoint.hpp"
#include "core/base/error.hpp"
#include "core/base/file_error.hpp"

namespace cryored {
namespace {

// A write beyond RLIMIT_FSIZE raises SIGXFSZ, which kills the process before it can
// say why. While blocked, write() returns EFBIG instead; the pending signal is eaten.
class FileSizeSignalBlocked {
 public:
  FileSizeSignalBlocked() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~FileSizeSignalBlocked() {
    if (seen) {
      const timespec now{0, 0};
      while (sigtimedwait(&set_, nullptr, &now) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  FileSizeSignalBlocked(const FileSizeSignalBlocked&) = delete;
  FileSizeSignalBlocked& operator=(const FileSizeSignalBlocked&) = delete;
  bool seen = false;

 private:
  sigset_t set_, before_;
};

constexpr int own_umask = -1;
thread_local int umask_here = own_umask;

/// The umask belongs to the whole process, so that another one can only be applied afterwards. A folder with a default
/// ACL decides by itself, whatever the umask.
void apply_umask(int fd, const std::string& folder) {
  if (umask_here == own_umask || getxattr(folder.c_str(), "system.posix_acl_default", nullptr, 0) > 0) return;
  // File systems that know no modes refuse; they would not have obeyed the umask either.
  if (fchmod(fd, 0666 & ~static_cast<mode_t>(umask_here)) != 0) return;
}

/// Of these it is known that they write past the cache as they should. Others have caches of their own behind them.
bool on_local_disk(int fd) {
  struct statfs info {};
  return fstatfs(fd, &info) == 0 && (info.f_type == EXT4_SUPER_MAGIC || info.f_type == XFS_SUPER_MAGIC);
}

}  // namespace

FileUmaskScope::FileUmaskScope(unsigned mask) : before_(umask_here) { umask_here = static_cast<int>(mask & 0777); }
FileUmaskScope::~FileUmaskScope() { umask_here = before_; }

AtomicFile::AtomicFile(const std::string& final_path, Naming naming) : final_path_(final_path) {
  if (final_path.empty() || final_path.back() == '/')
    throw SystemError(Problem{final_path.empty() ? "output" : final_path, "", "no file name in the output path",
                              "folder/name of a file", "give the output a name"});
  struct stat info {};
  // Devices and pipes cannot be replaced atomically, and as root a rename would destroy them.
  if (stat(final_path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    if (S_ISDIR(info.st_mode)) fail_file(final_path, "cannot write the result", EISDIR);
    throw SystemError(Problem{final_path, "", "a device, pipe or socket of that name", "a regular file or a new name",
                              "choose another output name"});
  }
  static std::atomic<unsigned> counter{0};
  const std::string folder = folder_of(final_path);
  // A name of up to 255 bytes must still leave room for what the temporary one adds.
  const auto slash = final_path.rfind('/');
  const std::string name = slash == std::string::npos ? final_path : final_path.substr(slash + 1);
  // A file without a name vanishes with a process that is killed. Network file systems have none, and to give it its
  // name takes /proc.
  if (naming == Naming::at_the_end && access("/proc/self/fd", X_OK) == 0) {
    do {
      fd_ = open(folder.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
    } while (fd_ < 0 && errno == EINTR);
    nameless_ = fd_ >= 0;
  }
  for (int attempt = 0; attempt < 1000; ++attempt) {
    temporary_path_ = (folder == "/" ? "/" : folder + "/") + "." + name.substr(0, 200) + "." +
                      std::to_string(getpid()) + "." + std::to_string(counter++) + ".tmp";
    if (nameless_) break;
    do {
      fd_ = open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (fd_ < 0 && errno == EINTR);
    // The name can be taken by the same process number on another host of a shared disk.
    if (fd_ >= 0 || errno != EEXIST) break;
  }
  if (fd_ < 0) fail_file(final_path, "cannot create a file in the folder " + folder, errno);
  apply_umask(fd_, folder);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) close(fd_);
  if (!committed_ && !nameless_) unlink(temporary_path_.c_str());
}

bool AtomicFile::give_name() {
  const std::string open_file = "/proc/self/fd/" + std::to_string(fd_);
  const auto link_to = [&](const std::string& path) {
    return linkat(AT_FDCWD, open_file.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0;
  };
  if (link_to(final_path_)) return true;
  if (errno != EEXIST) fail_file(final_path_, "cannot give the finished file its name", errno);
  // What is there is replaced by a rename, and for that it needs a name of its own first.
  while (!link_to(temporary_path_)) {
    if (errno != EEXIST) fail_file(final_path_, "cannot give the finished file its name", errno);
    temporary_path_.replace(temporary_path_.size() - 4, 4, "_.tmp");
  }
  nameless_ = false;
  return false;
}

void AtomicFile::write_all(const void* bytes, std::size_t count, std::uint64_t offset) {
  FileSizeSignalBlocked guard;
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const std::size_t chunk = std::min<std::size_t>(count, std::size_t{1} << 30);
    const ssize_t done = pwrite(fd_, from, chunk, static_cast<off_t>(offset));
    if (done < 0) {
      if (errno == EINTR) continue;
      guard.seen = errno == EFBIG;
      const int error = errno;
      fail_file(final_path_, "writing failed after " + std::to_string(offset) + " bytes", error);
    }
    from += done;
    offset += static_cast<std::uint64_t>(done);
    count -= static_cast<std::size_t>(done);
  }
}

void AtomicFile::write(const void* bytes, std::size_t count) {
  write_all(bytes, count, size_);
  // The disk begins while the rest is still being made, so that the fsync at the end of a large stack does not wait for
  // all of it. Advice only: what fails is fsync's to report.
  constexpr std::uint64_t kPiece = 16 << 20;
  const std::uint64_t begin = size_ / kPiece * kPiece, end = (size_ + count) / kPiece * kPiece;
  if (end > begin)
    sync_file_range(fd_, static_cast<off_t>(begin), static_cast<off_t>(end - begin), SYNC_FILE_RANGE_WRITE);
  size_ += count;
}

void AtomicFile::write_past_cache(const void* bytes, std::size_t count) {
  if (!past_cache_) past_cache_ = on_local_disk(fd_);
  ssize_t done = 0;
  if (*past_cache_ && size_ % kDiskPiece == 0 && fcntl(fd_, F_SETFL, O_DIRECT) == 0) {
    FileSizeSignalBlocked guard;
    done = pwrite(fd_, bytes, count, static_cast<off_t>(size_));
    guard.seen = done < 0 && errno == EFBIG;
    fcntl(fd_, F_SETFL, 0);
    done = std::max<ssize_t>(done, 0);
    size_ += static_cast<std::uint64_t>(done);
    if (static_cast<std::size_t>(done) == count) return;
    past_cache_ = false;
  }
  // What is left goes the usual way, which also says what is wrong.
  write(static_cast<const char*>(bytes) + done, count - static_cast<std::size_t>(done));
}

void AtomicFile::overwrite(std::uint64_t offset, const void* bytes, std::size_t count) {
  if (offset > size_ || count > size_ - offset)
    throw Error(Problem{final_path_, "overwrite", "bytes beyond the end", "bytes already written", ""});
  write_all(bytes, count, offset);
}

void AtomicFile::commit() {
  int result;
  do {
    result = fsync(fd_);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno != EINVAL && errno != ENOTSUP) fail_file(final_path_, "flushing to disk failed", errno);
  bool named = false;
  if (nameless_) {
    checkpoint();
    named = give_name();
  }
  // Network file systems report a full disk as late as here. After EINTR the descriptor is closed on Linux.
  result = close(fd_);
  fd_ = -1;
  if (!named && result < 0 && errno != EINTR) fail_file(final_path_, "closing failed", errno);
  if (!named) {
    checkpoint();  // the last one: after it the file is there
    if (rename(temporary_path_.c_str(), final_path_.c_str()) != 0)
      fail_file(final_path_, "cannot give the finished file its name", errno);
  }
  committed_ = true;
  // Makes the rename itself durable. The result is complete by now, and some file systems
  // refuse fsync on folders, so only a failing disk is reported.
  const int folder = open(folder_of(final_path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  const int error = fsync(folder) == 0 ? 0 : errno;
  close(folder);
  if (error == EIO) fail_file(final_path_, "flushing the folder to disk failed", error);
}

void write_text_atomically(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace cryored
