#pragma once
// A file in memory that may become shorter meanwhile. Reading behind the new end raises SIGBUS, which would end a
// daemon with all its requests; here the pages that are gone read as zeros, and check_whole() tells.

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace cryored {

class MappedFile {
 public:
  /// Maps `size` (> 0) bytes for reading. Installs a handler of SIGBUS, once; other SIGBUS are left to the handler
  /// that was there before. Throws SystemError.
  MappedFile(int fd, std::uint64_t size, const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const unsigned char* bytes() const { return bytes_; }
  std::uint64_t size() const { return size_; }
  /// Throws InputError when something that was read so far was missing, or the file is shorter now.
  void check_whole() const;

 private:
  const unsigned char* bytes_ = nullptr;
  std::string path_;
  std::uint64_t size_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  int slot_ = -1;  ///< -1: more files are mapped than are watched over
};

/// The same for the mapping that an address lies in, for those who have only the data (MrcFile::float_data()).
void check_mapping_whole(const void* at);

}  // namespace cryored
