#include "training/half_map_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <regex>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

Map block_of(const Map& map, std::size_t box, std::size_t x0, std::size_t y0, std::size_t z0) {
  Map out(box, box, box);
  for (std::size_t z = 0; z < box; ++z)
    for (std::size_t y = 0; y < box; ++y) std::copy_n(&map(x0, y + y0, z + z0), box, &out(0, y, z));
  return out;
}

/// First corners of blocks that cover `length` with half a block of overlap at least.
std::vector<std::size_t> corners(std::size_t length, std::size_t box) {
  if (length == box) return {0};
  const std::size_t count = (2 * (length - box) + box - 1) / box + 1;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(i * (length - box) / (count - 1));
  return out;
}

/// An ID must not hold '.', which ends the ID in a shard's name.
std::string plain(std::string id) {
  for (char& c : id)
    if (c == '.' || c == '/') c = '_';
  return id;
}

/// `name`: of the file up to the number of the half.
HalfMapFiles named(const fs::path& folder, const fs::path& first, std::string name) {
  while (!name.empty() && (name.back() == '_' || name.back() == '-' || name.back() == '.')) name.pop_back();
  if (name.empty()) name = "half-maps";
  static const std::regex relion(R"(([\s\S]+?)((?:_ct[0-9]+)?(?:_it[0-9]{3,})?))");
  std::smatch part;
  std::regex_match(name, part, relion);
  HalfMapFiles files{plain(part[1]), "", plain(name), "", first.string(), ""};
  const fs::path below = first.lexically_relative(folder).parent_path();
  files.nested = plain((below / files.former).string());
  // One name for every job: the folder tells them apart.
  if (files.id == "run" || files.id == "half-maps")
    files.id = plain(((below.empty() ? fs::canonical(folder).filename() : below) / files.id).string());
  files.shard = files.id;
  if (part[2].length() > 0) files.shard += "." + part[2].str().substr(1);
  return files;
}

}  // namespace

std::vector<HalfMapFiles> half_map_files(const std::string& folder) {
  std::vector<HalfMapFiles> found;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      const std::string extension = entry.path().extension().string();
      if (extension != ".map" && extension != ".mrc") continue;
      for (const std::string word : {"half_map_1", "half1", "half_1"}) {
        const std::size_t at = name.find(word);
        if (at == std::string::npos) continue;
        std::string other = name;
        other[at + word.size() - 1] = '2';
        const fs::path second = entry.path().parent_path() / other;
        if (!fs::exists(second)) continue;
        found.push_back(named(folder, entry.path(), name.substr(0, at)));
        found.back().second = second.string();
        break;
      }
    }
  if (found.empty())
    throw InputError(Problem{folder, "half-maps", "none",
                             "MRC files named ..._half_map_1.map and ..._half_map_2.map (or half1, half_1)",
                             "unpack the files of EMDB (gunzip), or give another folder"});
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return found;
}

std::vector<TrainingPair> half_map_pairs(const HalfMapFiles& files, const PairOptions& options) {
  Map maps[2];
  double voxel = 0;
  MrcHeader headers[2];
  for (int h = 0; h < 2; ++h) {
    const std::string& path = h == 0 ? files.first : files.second;
    maps[h] = read_mrc(path, &headers[h]);
    if (maps[h].nx != maps[h].ny || maps[h].nx != maps[h].nz || maps[h].nx != maps[0].nx)
      throw InputError(
          Problem{path, "dimensions",
                  std::to_string(maps[h].nx) + " x " + std::to_string(maps[h].ny) + " x " + std::to_string(maps[h].nz),
                  "a cube, the same for both half-maps", "give the half-maps of one reconstruction"});
    required_pixel_size(headers[h], path);
    if (std::abs(headers[h].pixel_size - headers[0].pixel_size) > 1e-3 * headers[0].pixel_size)
      throw InputError(Problem{path, "header word cella (pixel size)", std::to_string(headers[h].pixel_size) + " A",
                               std::to_string(headers[0].pixel_size) + " A, as in " + files.first,
                               "give the half-maps of one reconstruction, or correct the header"});
    for (const float v : maps[h].data)
      if (!std::isfinite(v))
        throw InputError(Problem{path, "densities", "NaN or Inf", "finite ones", "write the map again"});
  }
  for (Map& map : maps) {
    Resampled r = resample(map, headers[0].pixel_size, options.voxel);
    voxel = r.voxel_size;
    map = std::move(r.map);
    if (map.nx < options.box) map = window(map, options.box, edge_mean(map));
  }
  const std::size_t n = maps[0].nx;
  const auto curve = fsc(maps[0], maps[1]);
  const double last = crossing_shell(curve, 0.143);
  if (last < 4)
    throw InputError(Problem{files.first, "FSC of both half-maps", "below 0.143 from the start",
                             "half-maps of one reconstruction", "leave this entry out"});
  const double cut =
      std::min(last + 10 * static_cast<double>(n) / static_cast<double>(options.box), static_cast<double>(n) / 2 - 1);
  for (Map& map : maps) map = low_pass(map, cut);

  struct Block {
    std::size_t x, y, z;
    double power;
  };
  std::vector<Block> blocks;
  const auto starts = corners(n, options.box);
  double strongest = 0;
  for (const std::size_t z : starts)
    for (const std::size_t y : starts)
      for (const std::size_t x : starts) {
        const Map a = block_of(maps[0], options.box, x, y, z), b = block_of(maps[1], options.box, x, y, z);
        // What both halves agree on: noise has no part in it.
        double ma = 0, mb = 0, ab = 0;
        for (std::size_t i = 0; i < a.size(); ++i) {
          ma += a.data[i];
          mb += b.data[i];
          ab += static_cast<double>(a.data[i]) * b.data[i];
        }
        const auto count = static_cast<double>(a.size());
        blocks.push_back({x, y, z, ab / count - ma / count * mb / count});
        strongest = std::max(strongest, blocks.back().power);
      }
  std::vector<TrainingPair> pairs;
  for (const Block& block : blocks) {
    if (!(block.power > 0) || block.power < 0.25 * strongest) continue;
    for (int h = 0; h < 2; ++h) {
      TrainingPair pair;
      pair.input = block_of(maps[h], options.box, block.x, block.y, block.z);
      pair.target = block_of(maps[1 - h], options.box, block.x, block.y, block.z);
      pair.voxel = options.voxel;
      pair.cut = static_cast<int>(cut * static_cast<double>(options.box) / static_cast<double>(n));
      pair.nominal_resolution = shell_resolution(last, n, voxel);
      // The whole maps' curve, at the block's shells.
      for (std::size_t s = 0; s <= options.box / 2; ++s)
        pair.half_fsc.push_back(static_cast<float>(curve[std::min(s * n / options.box, curve.size() - 1)]));
      pairs.push_back(std::move(pair));
    }
  }
  return pairs;
}

}  // namespace cryored
