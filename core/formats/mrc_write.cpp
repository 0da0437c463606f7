// Writing side of MRC files: modes 2 and 12, little-endian, published atomically.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/base/atomic_file.hpp"
#include "core/base/atomic_stream.hpp"
#include "core/base/error.hpp"
#include "core/base/vector_clones.hpp"
#include "core/formats/half_float.hpp"
#include "core/formats/mrc.hpp"

namespace cryored {
namespace {

constexpr std::size_t kHeaderBytes = 1024;
constexpr float kLargestHalf = 65504.0f;

void put(unsigned char* header, int word, std::int32_t value) { std::memcpy(header + 4 * word, &value, 4); }
void put(unsigned char* header, int word, float value) { std::memcpy(header + 4 * word, &value, 4); }

struct Geometry {
  std::size_t nx, ny, nz;
  double pixel_size;
  MrcMode mode;
  bool is_stack;
  MrcPlacement placement = {};
};

void check(const std::string& path, const Geometry& g) {
  for (const std::size_t n : {g.nx, g.ny, g.nz})
    if (n == 0 || n > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
      throw InputError(Problem{path, "size to write",
                               std::to_string(g.nx) + " x " + std::to_string(g.ny) + " x " + std::to_string(g.nz),
                               "1 to 2147483647 on each axis", ""});
  if (!std::isfinite(g.pixel_size) || g.pixel_size < 0)
    throw InputError(Problem{path, "pixel size to write", std::to_string(g.pixel_size) + " A",
                             "a positive number, or 0 for unknown", "give the pixel size in A"});
}

void build_header(unsigned char* header, const Geometry& g, const MrcStatistics& statistics) {
  std::memset(header, 0, kHeaderBytes);
  const std::size_t sizes[] = {g.nx, g.ny, g.nz};
  for (int axis = 0; axis < 3; ++axis) {
    const auto n = static_cast<std::int32_t>(sizes[axis]);
    const std::int32_t sampling = axis == 2 && g.is_stack ? 1 : n;  // MRC2014: mz = 1 for stacks of images
    const auto a = static_cast<std::size_t>(axis);
    put(header, axis, n);
    put(header, 4 + axis, g.placement.start[a]);
    put(header, 49 + axis, g.placement.origin[a]);
    put(header, 7 + axis, sampling);
    put(header, 10 + axis, static_cast<float>(g.pixel_size * sampling));
    put(header, 13 + axis, 90.0f);
    put(header, 16 + axis, axis + 1);
  }
  put(header, 3, static_cast<std::int32_t>(g.mode));
  put(header, 19, statistics.low);
  put(header, 20, statistics.high);
  put(header, 21, static_cast<float>(statistics.mean()));
  put(header, 22, g.is_stack ? 0 : 1);
  put(header, 27, 20140);
  std::copy_n("MAP ", 4, header + 208);
  header[212] = header[213] = 0x44;
  put(header, 54, static_cast<float>(statistics.rms()));
  // No date: equal input gives equal bytes.
  const char label[] = "cryored";
  put(header, 55, std::int32_t{1});
  std::memset(header + 224, ' ', 80);
  std::copy_n(label, sizeof label - 1, header + 224);
}

/// A part of what an AtomicStream has reserved, filled from its beginning.
struct Reserved {
  AtomicStream& stream;
  std::size_t offset;
  void write(const void* bytes, std::size_t count) {
    stream.place(offset, bytes, count);
    offset += count;
  }
};

template <class File>
void write_values(File& file, const std::string& path, const Geometry& g, const float* values, std::size_t count,
                  std::uint64_t first) {
  if (g.mode == MrcMode::float32) {
    file.write(values, count * sizeof(float));
    return;
  }
  std::vector<std::uint16_t> halves(std::min<std::size_t>(count, std::size_t{1} << 20));
  for (std::size_t i = 0; i < count; i += halves.size()) {
    const std::size_t n = std::min(halves.size(), count - i);
    for (std::size_t j = i; j < i + n; ++j)
      if (std::abs(values[j]) > kLargestHalf && std::isfinite(values[j])) {
        const std::uint64_t at = first + j;
        throw InputError(Problem{path,
                                 "voxel (x, y, z) = (" + std::to_string(at % g.nx) + ", " +
                                     std::to_string(at / g.nx % g.ny) + ", " + std::to_string(at / g.nx / g.ny) + ")",
                                 std::to_string(values[j]), "-65504 to 65504, the range of float16",
                                 "write the map as float32 (mode 2)"});
      }
    float_to_half(values + i, halves.data(), n);
    file.write(halves.data(), n * sizeof(std::uint16_t));
  }
}

}  // namespace

namespace {

/// Sum, sum of squares and extremes of up to a few hundred values, in lanes, so that an addition does not wait for the
/// one before. Single precision serves for so few.
struct Run {
  float sum, square, low, high;
};
constexpr std::size_t kLanes = 16, kRun = 32 * kLanes;

CRYORED_CLONES("default", "avx2")
Run sums(const float* values, std::size_t whole, float shift) {
  float sum[kLanes] = {}, square[kLanes] = {}, low[kLanes], high[kLanes];
  std::copy_n(values, kLanes, low);
  std::copy_n(values, kLanes, high);
  for (std::size_t i = 0; i < whole; i += kLanes)
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane], v = value - shift;
      sum[lane] += v;
      square[lane] += v * v;
      low[lane] = value < low[lane] ? value : low[lane];
      high[lane] = value > high[lane] ? value : high[lane];
    }
  for (std::size_t step = kLanes / 2; step > 0; step /= 2)
    for (std::size_t lane = 0; lane < step; ++lane) {
      sum[lane] += sum[lane + step];
      square[lane] += square[lane + step];
      low[lane] = std::min(low[lane], low[lane + step]);
      high[lane] = std::max(high[lane], high[lane + step]);
    }
  return {sum[0], square[0], low[0], high[0]};
}

}  // namespace

void MrcStatistics::add(const float* values, std::size_t n) {
  // Sums are taken about the first finite value, so that a large offset does not eat the digits of the variance.
  if (count == 0 && n > 0 && std::isfinite(values[0])) shift = values[0];
  for (std::size_t begin = 0; begin < n; begin += kRun) {
    const std::size_t here = std::min(kRun, n - begin), whole = here - here % kLanes;
    std::size_t next = begin;
    if (whole > 0) {
      // About a value of its own: the first of all may be far from the others.
      const float centre = values[begin];
      const Run run = sums(values + begin, whole, centre);
      if (std::isfinite(run.square)) {  // else one by one: too large to be squared in single precision
        const double d = centre - shift, m = static_cast<double>(whole);
        sum += run.sum + m * d;
        square += run.square + 2 * d * run.sum + m * d * d;
        low = std::min(low, run.low);
        high = std::max(high, run.high);
        next += whole;
      }
    }
    for (; next < begin + here; ++next) {
      const double v = values[next] - shift;
      sum += v;
      square += v * v;
      low = std::min(low, values[next]);
      high = std::max(high, values[next]);
    }
  }
  count += n;
}

void MrcStatistics::add(const MrcStatistics& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  const double n = static_cast<double>(other.count), d = other.shift - shift;
  square += other.square + 2 * d * other.sum + n * d * d;
  sum += other.sum + n * d;
  low = std::min(low, other.low);
  high = std::max(high, other.high);
  count += other.count;
}

double MrcStatistics::mean() const { return shift + sum / static_cast<double>(count); }

double MrcStatistics::rms() const {
  const double m = sum / static_cast<double>(count);
  return std::sqrt(std::max(0.0, square / static_cast<double>(count) - m * m));
}

std::array<unsigned char, 1024> mrc_stack_header(const std::string& path, std::size_t nx, std::size_t ny,
                                                 std::size_t count, double pixel_size,
                                                 const MrcStatistics& statistics) {
  const Geometry g{nx, ny, count, pixel_size, MrcMode::float32, true};
  check(path, g);
  std::array<unsigned char, 1024> header;
  build_header(header.data(), g, statistics);
  return header;
}

namespace {

MrcStatistics statistics_of(const float* values, std::size_t n) {
  MrcStatistics statistics;
  statistics.add(values, n);
  return statistics;
}

}  // namespace

void write_mrc(const std::string& path, const Map& map, double pixel_size, MrcMode mode, bool is_stack,
               const MrcPlacement& placement) {
  const Geometry g{map.nx, map.ny, map.nz, pixel_size, mode, is_stack, placement};
  check(path, g);
  MrcStatistics statistics;
  for (std::size_t z = 0; z < map.nz; ++z)
    statistics.add(statistics_of(map.data.data() + z * map.nx * map.ny, map.nx * map.ny));
  unsigned char header[kHeaderBytes];
  build_header(header, g, statistics);
  AtomicFile file(path);
  file.write(header, sizeof header);
  write_values(file, path, g, map.data.data(), map.size(), 0);
  file.commit();
}

struct MrcStackWriter::State {
  State(const std::string& p, const Geometry& g) : path(p), geometry(g), file(p) {}
  std::string path;
  Geometry geometry;
  MrcStatistics statistics;  // of the blocks before the open one
  AtomicStream file;
  std::size_t written = 0;           // sections, with those of the open block
  std::vector<MrcStatistics> block;  // of each section of the open block; those without values are not there yet
  bool closed = false;

  std::size_t section_bytes() const {
    return geometry.nx * geometry.ny * (geometry.mode == MrcMode::float32 ? sizeof(float) : sizeof(std::uint16_t));
  }

  void close_block() {
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (block[i].count == 0)
        throw Error(Problem{path, "stack", "section " + std::to_string(written - block.size() + i + 1) + " left out",
                            "every section", ""});
      statistics.add(block[i]);
    }
    block.clear();
  }
};

MrcStackWriter::MrcStackWriter(const std::string& path, std::size_t nx, std::size_t ny, std::size_t count,
                               double pixel_size, MrcMode mode) {
  const Geometry g{nx, ny, count, pixel_size, mode, true};
  check(path, g);
  state_ = std::make_unique<State>(path, g);
  const unsigned char blank[kHeaderBytes] = {};
  state_->file.write(blank, sizeof blank);
}

MrcStackWriter::~MrcStackWriter() = default;

void MrcStackWriter::append(const float* section) {
  open_block(1);
  put(0, section);
}

void MrcStackWriter::open_block(std::size_t count) {
  State& s = *state_;
  s.close_block();
  if (s.closed || count > s.geometry.nz - s.written)
    throw Error(Problem{s.path, "stack", "section " + std::to_string(s.written + count),
                        std::to_string(s.geometry.nz) + " sections as announced", ""});
  s.file.reserve(count * s.section_bytes());
  s.block.resize(count);
  s.written += count;
}

void MrcStackWriter::put(std::size_t index, const float* section) {
  State& s = *state_;
  const std::size_t values = s.geometry.nx * s.geometry.ny;
  MrcStatistics& statistics = s.block.at(index);
  Reserved part{s.file, index * s.section_bytes()};
  write_values(part, s.path, s.geometry, section, values,
               static_cast<std::uint64_t>(s.written - s.block.size() + index) * values);
  statistics = statistics_of(section, values);
}

void MrcStackWriter::close() {
  State& s = *state_;
  if (s.closed) return;
  s.close_block();
  if (s.written != s.geometry.nz)
    throw Error(Problem{s.path, "stack", std::to_string(s.written) + " sections written",
                        std::to_string(s.geometry.nz) + " sections as announced", ""});
  unsigned char header[kHeaderBytes];
  build_header(header, s.geometry, s.statistics);
  s.file.commit(header, sizeof header);
  s.closed = true;
}

}  // namespace cryored
