#include "evaluation/compressed_map.hpp"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"

namespace fs = std::filesystem;

namespace cryored {

double write_compressed_map(const std::string& path, const Map& map, double pixel_size) {
  float largest = 0;
  for (const float v : map.data) largest = std::max(largest, std::abs(v));
  const double scale = largest > 0 ? 1000 / static_cast<double>(largest) : 1;
  Map scaled = map;
  for (float& v : scaled.data) v = static_cast<float>(v * scale);
  const TemporaryFolder folder;
  const std::string plain = (folder.path() / "map.mrc").string();
  write_mrc(plain, scaled, pixel_size, MrcMode::float16);
  std::ifstream file(plain, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  const std::string in = bytes.str();

  z_stream z{};
  // 16 more than the window's 15 bits asks for a gzip header, which holds no time unless one is set.
  if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK)
    throw SystemError({path, "", "zlib cannot begin", "memory for it", ""});
  std::vector<unsigned char> out(deflateBound(&z, static_cast<uLong>(in.size())) + 64);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  const int end = deflate(&z, Z_FINISH);
  const std::size_t size = out.size() - z.avail_out;
  deflateEnd(&z);
  if (end != Z_STREAM_END) throw SystemError({path, "", "zlib cannot compress", "a map of less than 4 GB", ""});
  AtomicFile compressed(path);
  compressed.write(out.data(), size);
  compressed.commit();
  return scale;
}

Map read_compressed_map(const std::string& path) {
  const gzFile in = gzopen(path.c_str(), "rb");
  if (!in) throw InputError({path, "", "cannot be opened", "a gzipped MRC file", ""});
  std::string bytes;
  std::vector<char> buffer(1 << 16);
  int got = 0;
  while ((got = gzread(in, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0)
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  const bool whole = gzclose(in) == Z_OK && got == 0;
  if (!whole) throw InputError({path, "", "damaged or cut short", "a gzipped MRC file", "make it again"});
  const TemporaryFolder folder;
  const std::string plain = (folder.path() / "map.mrc").string();
  std::ofstream(plain, std::ios::binary) << bytes;
  return read_mrc(plain);
}

}  // namespace cryored
