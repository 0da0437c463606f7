#include "core/particles/shared_stack.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/base/file_error.hpp"

namespace cryored {
namespace {

constexpr std::size_t kHeaderBytes = 1024;

std::size_t bytes_of(std::size_t box, std::size_t count) { return kHeaderBytes + box * box * count * sizeof(float); }

void write_at(int fd, const std::string& path, const void* bytes, std::size_t count, std::size_t offset) {
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t done = pwrite(fd, from, count, static_cast<off_t>(offset));
    if (done < 0) {
      if (errno == EINTR) continue;
      fail_file(path, "writing failed", errno);
    }
    from += done;
    offset += static_cast<std::size_t>(done);
    count -= static_cast<std::size_t>(done);
  }
}

}  // namespace

std::string SharedStack::unfinished_name(const std::string& path) {
  const std::filesystem::path p(path);
  return (p.parent_path() / ("." + p.filename().string() + ".part")).string();
}

bool SharedStack::exists(const std::string& path, std::size_t box, std::size_t count) {
  struct stat info {};
  return stat(unfinished_name(path).c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<std::size_t>(info.st_size) == bytes_of(box, count);
}

void SharedStack::create(const std::string& path, std::size_t box, std::size_t count) {
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) fail_file(path, "cannot write the stack", EISDIR);
  const std::string name = unfinished_name(path);
  const int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail_file(path, "cannot create a file in the folder " + folder_of(path), errno);
  const std::size_t size = bytes_of(box, count);
  int error = posix_fallocate(fd, 0, static_cast<off_t>(size));
  // File systems without it get a sparse file.
  if ((error == EOPNOTSUPP || error == EINVAL) && ftruncate(fd, static_cast<off_t>(size)) != 0)
    error = errno;
  else if (error == EOPNOTSUPP || error == EINVAL)
    error = 0;
  close(fd);
  if (error != 0) {
    unlink(name.c_str());
    fail_file(path, "no room for " + std::to_string(size) + " bytes", error);
  }
}

SharedStack::SharedStack(const std::string& path, std::size_t box, std::size_t count)
    : path_(path), box_(box), count_(count) {
  if (!exists(path, box, count))
    throw SystemError(Problem{unfinished_name(path), "unfinished stack", "missing or of another size",
                              std::to_string(bytes_of(box, count)) + " bytes",
                              "does each rank see the same folder? Then run with --fresh"});
  fd_ = open(unfinished_name(path).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd_ < 0) fail_file(path, "cannot open the unfinished stack " + unfinished_name(path), errno);
}

SharedStack::~SharedStack() {
  if (fd_ >= 0) close(fd_);
}

void SharedStack::write(std::size_t first, std::size_t count, const float* images) {
  if (first > count_ || count > count_ - first)
    throw Error(
        Problem{path_, "stack", "image " + std::to_string(first + count), std::to_string(count_) + " images", ""});
  const std::size_t image = box_ * box_ * sizeof(float);
  write_at(fd_, path_, images, count * image, kHeaderBytes + first * image);
}

void SharedStack::flush() {
  int result;
  do {
    result = fdatasync(fd_);
  } while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EINVAL && errno != ENOTSUP) fail_file(path_, "flushing to disk failed", errno);
}

void SharedStack::publish(double pixel_size, const MrcStatistics& statistics) {
  const auto header = mrc_stack_header(path_, box_, box_, count_, pixel_size, statistics);
  write_at(fd_, path_, header.data(), header.size(), 0);
  flush();
  if (std::rename(unfinished_name(path_).c_str(), path_.c_str()) != 0)
    fail_file(path_, "cannot give the finished file its name", errno);
  const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  fsync(folder);
  close(folder);
}

}  // namespace cryored
