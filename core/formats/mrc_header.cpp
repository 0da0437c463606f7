// The 1024-byte header of MRC2014 (Cheng et al., J. Struct. Biol. 192 (2015) 146), reading side.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/mrc_voxels.hpp"

namespace cryored {
namespace {

static_assert(std::endian::native == std::endian::little, "only little-endian machines are supported");

enum Word { kNx = 0, kNy, kNz, kMode, kStart = 4, kMx = 7, kCellX = 10, kMapC = 16, kIspg = 22, kNsymbt = 23 };
constexpr int kImodStamp = 38, kImodFlags = 39, kOrigin = 49;
constexpr std::size_t kMachineStampByte = 212;

struct RawHeader {
  const unsigned char* bytes;
  bool swapped;

  std::uint32_t word(int index) const {
    std::uint32_t value;
    std::memcpy(&value, bytes + 4 * index, 4);
    return swapped ? __builtin_bswap32(value) : value;
  }
  std::int32_t integer(int index) const { return std::bit_cast<std::int32_t>(word(index)); }
  float real(int index) const { return std::bit_cast<float>(word(index)); }
};

std::size_t bytes_of_mode(std::int32_t mode) {
  switch (mode) {
    case 0:
      return 1;
    case 1:
    case 6:
    case 12:
      return 2;
    case 2:
      return 4;
    default:
      return 0;
  }
}

bool plausible(const RawHeader& h) {
  for (const int w : {kNx, kNy, kNz})
    if (h.integer(w) <= 0 || h.integer(w) > (1 << 24)) return false;
  return h.integer(kMode) >= 0 && h.integer(kMode) <= 1000 && h.integer(kNsymbt) >= 0;
}

bool swapped_order(const unsigned char* bytes) {
  const unsigned char a = bytes[kMachineStampByte], b = bytes[kMachineStampByte + 1];
  const bool says_little = a == 0x44 && (b == 0x44 || b == 0x41);
  const bool says_big = a == 0x11 && b == 0x11;
  // Old programs leave the stamp empty, and some copy it from another file: it counts
  // only where the sizes make sense with it.
  if (says_big && plausible({bytes, true})) return true;
  if (says_little && plausible({bytes, false})) return false;
  return !plausible({bytes, false}) && plausible({bytes, true});
}

[[noreturn]] void reject(const std::string& path, const std::string& field, const std::string& found,
                         const std::string& allowed, const std::string& remedy) {
  throw InputError(Problem{path, "MRC header " + field, found, allowed, remedy});
}

constexpr const char* kDamaged = "the file is damaged or not MRC: write it again with the program that made it";

}  // namespace

MrcHeader parse_mrc_header(const unsigned char* bytes, std::uint64_t file_size, const std::string& path) {
  if (file_size < 1024)
    throw InputError(Problem{path, "file size", std::to_string(file_size) + " bytes",
                             "at least the 1024 bytes of an MRC header",
                             "the file is truncated or not MRC: write it again"});
  if (bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8)
    throw InputError(Problem{path, "", "a gzipped file", "an MRC file as it is", "gunzip it first"});
  MrcHeader header;
  header.swapped = swapped_order(bytes);
  const RawHeader raw{bytes, header.swapped};
  const char* names[] = {"nx", "ny", "nz"};
  std::size_t* sizes[] = {&header.nx, &header.ny, &header.nz};
  for (int axis = 0; axis < 3; ++axis) {
    const std::int32_t value = raw.integer(axis);
    if (value <= 0)
      reject(path, std::string(names[axis]) + " (word " + std::to_string(axis + 1) + ")", std::to_string(value),
             "1 or more", kDamaged);
    *sizes[axis] = static_cast<std::size_t>(value);
  }
  header.mode = raw.integer(kMode);
  const std::size_t bytes_per_value = bytes_of_mode(header.mode);
  if (bytes_per_value == 0)
    reject(path, "mode (word 4)", std::to_string(header.mode),
           "0 (int8), 1 (int16), 2 (float32), 6 (uint16), 12 (float16)",
           "convert the file to mode 2, e.g. with relion_image_handler --i in.mrc --o out.mrc");
  const std::int32_t extended = raw.integer(kNsymbt);
  if (extended < 0)
    reject(path, "nsymbt (word 24, length of the extended header)", std::to_string(extended), "0 or more", kDamaged);
  for (int axis = 0; axis < 3; ++axis) {
    const std::int32_t which = raw.integer(kMapC + axis);
    if (which != 0 && which != axis + 1)  // zeros: old files that leave the words empty
      reject(path, "mapc mapr maps (words 17-19)",
             std::to_string(raw.integer(kMapC)) + " " + std::to_string(raw.integer(kMapC + 1)) + " " +
                 std::to_string(raw.integer(kMapC + 2)),
             "1 2 3 (x fastest, z slowest)", "reorder the axes, e.g. with gemmi map or maputils");
  }

  header.data_offset = 1024 + static_cast<std::uint64_t>(extended);
  // Three factors below 2^31 and 4 bytes can pass 2^64.
  std::uint64_t total = bytes_per_value;
  bool overflow = false;
  for (const std::size_t n : {header.nx, header.ny, header.nz})
    overflow = __builtin_mul_overflow(total, static_cast<std::uint64_t>(n), &total) || overflow;
  const std::string dimensions =
      std::to_string(header.nx) + " x " + std::to_string(header.ny) + " x " + std::to_string(header.nz);
  if (overflow || total > (std::uint64_t{1} << 50))
    reject(path, "nx ny nz (words 1-3)", dimensions, "sizes whose data is below 2^50 bytes", kDamaged);
  header.data_bytes = total;
  if (file_size < header.data_offset || file_size - header.data_offset < total)
    throw InputError(Problem{path, "file size", std::to_string(file_size) + " bytes (truncated)",
                             std::to_string(header.data_offset + total) + " bytes or more for " + dimensions +
                                 " values of mode " + std::to_string(header.mode) + " after " +
                                 std::to_string(header.data_offset) + " header bytes",
                             "the file was cut short (disk full, interrupted copy?): write or copy it again"});

  const std::int32_t mx = raw.integer(kMx);
  const double cell = raw.real(kCellX);
  if (mx > 0 && std::isfinite(cell) && cell > 0) header.pixel_size = cell / mx;
  header.is_stack = raw.integer(kIspg) == 0;
  for (int axis = 0; axis < 3; ++axis) {
    const float origin = raw.real(kOrigin + axis);
    header.placement.start[static_cast<std::size_t>(axis)] = raw.integer(kStart + axis);
    if (std::isfinite(origin)) header.placement.origin[static_cast<std::size_t>(axis)] = origin;
  }
  // IMOD stamps its files; before MRC2014 its bytes were unsigned, and a flag says which.
  header.unsigned_bytes = header.mode == 0 && raw.integer(kImodStamp) == 1146047817 && (raw.word(kImodFlags) & 1u) == 0;
  return header;
}

void require_cubic_voxels(const std::string& path) {
  std::array<unsigned char, 1024> bytes{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), bytes.size()))
    throw InputError(Problem{path, "MRC header", "cannot be read", "1024 bytes", "check the file, then run again"});
  const RawHeader raw{bytes.data(), swapped_order(bytes.data())};
  double edges[3] = {}, shortest = 0, longest = 0;
  for (int axis = 0; axis < (raw.integer(2) == 1 ? 2 : 3); ++axis) {
    const double length = raw.real(kCellX + axis), count = raw.integer(kMx + axis);
    if (!(count > 0) || !std::isfinite(length) || !(length > 0)) continue;
    edges[axis] = length / count;
    shortest = shortest > 0 ? std::min(shortest, edges[axis]) : edges[axis];
    longest = std::max(longest, edges[axis]);
  }
  if (longest <= 1.001 * shortest) return;
  char found[96];
  std::snprintf(found, sizeof found, "%g x %g x %g A", edges[0], edges[1], edges[2]);
  reject(path, "cella (words 11-13) divided by mx my mz (words 8-10)", found, "voxels of one edge",
         "resample the map to cubic voxels, or correct the header where it is wrong");
}

double required_pixel_size(const MrcHeader& header, const std::string& path) {
  // Files that say nothing have zeros there.
  if (header.pixel_size >= kLeastPixelSize && header.pixel_size <= kMostPixelSize) return header.pixel_size;
  char found[32];
  std::snprintf(found, sizeof found, "%g", header.pixel_size);
  throw InputError(Problem{path, "MRC header cella (words 11-13) divided by mx (pixel size)", found, "0.01 to 1000 A",
                           "write the pixel size into the header, or give --pixel-size where there is one"});
}

}  // namespace cryored
