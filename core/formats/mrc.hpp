#pragma once
// MRC2014 files: volumes and image stacks.
// Modes read: 0 (int8), 1 (int16), 2 (float32), 6 (uint16), 12 (float16); either byte
// order; extended headers skipped. Modes written: 2 and 12, little-endian, atomically.

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "core/fourier/grid.hpp"

namespace cryored {

/// Where a map lies in the space of a model: kept by what changes densities only.
struct MrcPlacement {
  std::array<std::int32_t, 3> start{};  ///< nxstart, nystart, nzstart, voxels
  std::array<float, 3> origin{};        ///< A
};

/// Pixel sizes that are believed, A.
inline constexpr double kLeastPixelSize = 0.01, kMostPixelSize = 1000;

struct MrcHeader {
  std::size_t nx = 0, ny = 0, nz = 0;
  int mode = 2;
  double pixel_size = 0;  ///< A, cella.x / mx; 0 when the header does not say
  bool is_stack = false;  ///< ispg == 0: sections are separate images
  bool swapped = false;   ///< file byte order differs from this machine's
  std::uint64_t data_offset = 1024;
  std::uint64_t data_bytes = 0;
  MrcPlacement placement;
  bool unsigned_bytes = false;  ///< mode 0 written by IMOD without its "signed" flag
};

/// Parses and checks the first 1024 bytes of a file of `file_size` bytes; the map is taken
/// as (x, y, z) with x fastest, other axis orders are refused. Bytes after the data are
/// tolerated. Throws InputError naming `path`, header word, value and remedy.
MrcHeader parse_mrc_header(const unsigned char* bytes, std::uint64_t file_size, const std::string& path);

enum class MrcMode { float32 = 2, float16 = 12 };

/// A memory-mapped MRC file. Opening validates the header against the file size;
/// sections are converted to float on request, so stacks larger than memory work.
class MrcFile {
 public:
  /// Throws InputError naming file, header word, value and remedy.
  explicit MrcFile(const std::string& path);
  ~MrcFile();
  MrcFile(MrcFile&&) noexcept;
  MrcFile& operator=(MrcFile&&) noexcept;

  const MrcHeader& header() const { return header_; }
  const std::string& path() const { return path_; }
  /// Section z (0-based) as floats into out[nx * ny]. Throws InputError when z is out of range.
  void read_section(std::size_t z, float* out) const;
  /// The raw float32 data when mode 2 in native byte order and aligned in the file (RELION's
  /// files are), else nullptr; valid while *this lives.
  const float* float_data() const;
  /// Whole volume or stack.
  Map read() const;

 private:
  std::string path_;
  MrcHeader header_;
  struct Mapping;
  std::unique_ptr<Mapping> mapping_;
};

MrcHeader read_mrc_header(const std::string& path);
/// The header's pixel size. Throws InputError naming `path` where it says none, or one outside kLeastPixelSize to
/// kMostPixelSize.
double required_pixel_size(const MrcHeader& header, const std::string& path);
Map read_mrc(const std::string& path, MrcHeader* header = nullptr);

/// Writes atomically, with min, max, mean, rms in the header. `pixel_size` in A; 0 writes
/// an unknown cell. float16 rounds to nearest even and throws InputError for a finite value
/// beyond 65504. Throws SystemError when the file cannot be written.
void write_mrc(const std::string& path, const Map& map, double pixel_size, MrcMode mode = MrcMode::float32,
               bool is_stack = false, const MrcPlacement& placement = {});

/// Statistics of a header, gathered piece by piece.
struct MrcStatistics {
  double shift = 0, sum = 0, square = 0;
  float low = std::numeric_limits<float>::infinity(), high = -std::numeric_limits<float>::infinity();
  std::uint64_t count = 0;

  void add(const float* values, std::size_t n);
  void add(const MrcStatistics& other);
  double mean() const;
  double rms() const;
};

/// The header of a float32 stack, for programs that write its sections by themselves (core/particles/shared_stack.hpp).
/// Throws InputError naming `path` for a size or pixel size that no header can hold.
std::array<unsigned char, 1024> mrc_stack_header(const std::string& path, std::size_t nx, std::size_t ny,
                                                 std::size_t count, double pixel_size, const MrcStatistics& statistics);

/// Writes a stack section by section, for stacks larger than memory; published at close().
class MrcStackWriter {
 public:
  MrcStackWriter(const std::string& path, std::size_t nx, std::size_t ny, std::size_t count, double pixel_size,
                 MrcMode mode = MrcMode::float32);
  ~MrcStackWriter();
  void append(const float* section);  ///< nx * ny floats
  /// The next `count` sections, by put() and in any order, before any other call.
  void open_block(std::size_t count);
  /// A section of the open block, counted from 0; each once. Threads may put different ones at once.
  void put(std::size_t index, const float* section);
  void close();  ///< throws unless exactly `count` sections were given

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cryored
