#pragma once
// Shared by the fuzz targets: a failed expectation stops the fuzzer like a crash.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace cryored::fuzzing {

inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "expectation failed: %s\n", what);
  std::abort();
}

/// The input as a file in memory, for readers that take a path.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* bytes, std::size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    expect(fd_ >= 0 && write(fd_, bytes, size) == static_cast<ssize_t>(size), "memfd");
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

}  // namespace cryored::fuzzing
