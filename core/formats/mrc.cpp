// Reading side of MRC files: mapping and conversion.

#include "core/formats/mrc.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "core/base/error.hpp"
#include "core/formats/half_float.hpp"
#include "core/formats/mapped_file.hpp"

namespace cryored {

struct MrcFile::Mapping : MappedFile {
  using MappedFile::MappedFile;
};

namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

/// Opens a regular file and tells its size; the messages are the same for header and data.
int open_regular(const std::string& path, std::uint64_t* size) {
  // O_NONBLOCK: opening a pipe by mistake must not hang.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    throw InputError(Problem{path, "cannot open the MRC file", std::strerror(errno), "",
                             errno == ENOENT ? "check the name; relative names count from the working directory"
                                             : "make the file readable for this user"});
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    throw InputError(Problem{path, "MRC file", "a folder or device", "a regular file", "check the name"});
  }
  *size = static_cast<std::uint64_t>(info.st_size);
  return fd;
}

template <typename Unsigned>
Unsigned load(const unsigned char* at, bool swapped) {
  Unsigned value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (sizeof value == 2)
    return swapped ? __builtin_bswap16(value) : value;
  else
    return swapped ? __builtin_bswap32(value) : value;
}

void convert(const MrcHeader& h, const unsigned char* from, float* out, std::size_t count) {
  switch (h.mode) {
    case 0:
      for (std::size_t i = 0; i < count; ++i)
        out[i] = h.unsigned_bytes ? static_cast<float>(from[i]) : static_cast<float>(static_cast<signed char>(from[i]));
      break;
    case 1:
      for (std::size_t i = 0; i < count; ++i)
        out[i] = static_cast<float>(static_cast<std::int16_t>(load<std::uint16_t>(from + 2 * i, h.swapped)));
      break;
    case 2:
      if (!h.swapped) {
        std::memcpy(out, from, count * 4);
      } else {
        for (std::size_t i = 0; i < count; ++i) out[i] = std::bit_cast<float>(load<std::uint32_t>(from + 4 * i, true));
      }
      break;
    case 6:
      for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(load<std::uint16_t>(from + 2 * i, h.swapped));
      break;
    default: {  // 12; in pieces, as the bytes in the file need not be aligned
      std::uint16_t piece[1024];
      for (std::size_t i = 0; i < count; i += 1024) {
        const std::size_t n = std::min<std::size_t>(1024, count - i);
        std::memcpy(piece, from + 2 * i, 2 * n);
        if (h.swapped)
          for (std::size_t j = 0; j < n; ++j) piece[j] = __builtin_bswap16(piece[j]);
        half_to_float(piece, out + i, n);
      }
    }
  }
}

}  // namespace

MrcFile::MrcFile(const std::string& path) : path_(path) {
  std::uint64_t size = 0;
  const Descriptor file{open_regular(path, &size)};
  if (size < 1024) parse_mrc_header(nullptr, size, path);  // throws
  mapping_ = std::make_unique<Mapping>(file.fd, size, path);
  header_ = parse_mrc_header(mapping_->bytes(), size, path);
  mapping_->check_whole();
}

MrcFile::~MrcFile() = default;
MrcFile::MrcFile(MrcFile&&) noexcept = default;
MrcFile& MrcFile::operator=(MrcFile&&) noexcept = default;

void MrcFile::read_section(std::size_t z, float* out) const {
  if (z >= header_.nz)
    throw InputError(Problem{path_, "section", std::to_string(z + 1),
                             "1 to " + std::to_string(header_.nz) + ", the sections of this file",
                             "check the image number; the stack may be shorter than its STAR file says"});
  const std::size_t count = header_.nx * header_.ny;
  const std::uint64_t section_bytes = header_.data_bytes / header_.nz;
  convert(header_, mapping_->bytes() + header_.data_offset + z * section_bytes, out, count);
  mapping_->check_whole();
}

const float* MrcFile::float_data() const {
  if (header_.mode != 2 || header_.swapped || header_.data_offset % alignof(float) != 0) return nullptr;
  return reinterpret_cast<const float*>(mapping_->bytes() + header_.data_offset);
}

Map MrcFile::read() const {
  Map map(header_.nx, header_.ny, header_.nz);
  convert(header_, mapping_->bytes() + header_.data_offset, map.data.data(), map.size());
  mapping_->check_whole();
  return map;
}

MrcHeader read_mrc_header(const std::string& path) {
  std::uint64_t size = 0;
  const Descriptor file{open_regular(path, &size)};
  unsigned char bytes[1024] = {};
  std::size_t have = 0;
  while (size >= 1024 && have < sizeof bytes) {
    const ssize_t got = pread(file.fd, bytes + have, sizeof bytes - have, static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0)
      throw SystemError(Problem{path, "reading the MRC header failed", got < 0 ? std::strerror(errno) : "end of file",
                                "", "check the disk, then run again"});
    have += static_cast<std::size_t>(got);
  }
  return parse_mrc_header(bytes, size, path);
}

Map read_mrc(const std::string& path, MrcHeader* header) {
  const MrcFile file(path);
  if (header) *header = file.header();
  return file.read();
}

}  // namespace cryored
