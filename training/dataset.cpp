#include "training/dataset.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/fourier/shells.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace fs = std::filesystem;
namespace {

struct AxisMap {
  std::array<int, 3> axis, sign;
};

/// The 24 proper rotations of the cube as signed permutations of the axes.
const std::vector<AxisMap>& cube_rotations() {
  static const std::vector<AxisMap> all = [] {
    std::vector<AxisMap> list;
    std::array<int, 3> axis{0, 1, 2};
    do {
      const int inversions = (axis[0] > axis[1]) + (axis[0] > axis[2]) + (axis[1] > axis[2]);
      for (int bits = 0; bits < 8; ++bits) {
        const std::array<int, 3> sign{bits & 1 ? -1 : 1, bits & 2 ? -1 : 1, bits & 4 ? -1 : 1};
        const int determinant = (inversions % 2 ? -1 : 1) * sign[0] * sign[1] * sign[2];
        if (determinant == 1) list.push_back({axis, sign});
      }
    } while (std::next_permutation(axis.begin(), axis.end()));
    return list;
  }();
  return all;
}

void scale(Example& e, Normalisation rule) {
  const float scale = map_scale(e.input, rule);
  for (Map* map : {&e.input, &e.target})
    for (float& v : map->data) v /= scale;
}

/// Without what lies at |k| >= cut, as pairs are cut where they are made.
void cut_at(Example& e, int cut) {
  if (e.cut <= cut) return;
  for (Map* map : {&e.input, &e.target}) *map = low_pass(*map, cut);
  e.cut = cut;
}

void join(Example& e, Example other, Normalisation rule) {
  const int cut = std::min(e.cut, other.cut);
  cut_at(e, cut);
  cut_at(other, cut);
  add(e.input, other.input);
  add(e.target, other.target);
  for (std::size_t s = 0; s < e.half_fsc.size(); ++s) e.half_fsc[s] = std::min(e.half_fsc[s], other.half_fsc[s]);
  scale(e, rule);
}

}  // namespace

Map turned(const Map& map, int which, int dx, int dy, int dz) {
  const auto& r = cube_rotations()[static_cast<std::size_t>(which)];
  const auto n = static_cast<long>(map.nx);
  Map out(map.nx, map.nx, map.nx);
  const std::array<int, 3> shift{dx, dy, dz};
  std::array<long, 3> p{};
  for (p[2] = 0; p[2] < n; ++p[2])
    for (p[1] = 0; p[1] < n; ++p[1])
      for (p[0] = 0; p[0] < n; ++p[0]) {
        std::array<long, 3> q{};
        for (std::size_t a = 0; a < 3; ++a) {
          // Voxel n/2 is the centre of rotation: -v of offset v - n/2 stays on the grid modulo n.
          const auto from = static_cast<std::size_t>(r.axis[a]);
          const long v = (p[from] + shift[from] - n / 2) * r.sign[a] + n / 2;
          q[a] = ((v % n) + n) % n;
        }
        out(static_cast<std::size_t>(p[0]), static_cast<std::size_t>(p[1]), static_cast<std::size_t>(p[2])) =
            map(static_cast<std::size_t>(q[0]), static_cast<std::size_t>(q[1]), static_cast<std::size_t>(q[2]));
      }
  return out;
}

PairDataset::PairDataset(const std::string& folder, Part part, Normalisation rule, double voxel)
    : folder_(folder), rule_(rule) {
  std::vector<std::string> files;
  std::vector<std::string> others;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.path().extension() != ".pairs") continue;
      if (is_validation(cryored::structure_id(entry.path().string())) == (part == Part::validation))
        files.push_back(entry.path().string());
      else
        others.push_back(entry.path().string());
    }
  std::sort(files.begin(), files.end());
  std::sort(others.begin(), others.end());
  SpellingCheck spelling;
  for (const auto* part_files : {&files, &others})
    for (const auto& file : *part_files) spelling.add(file);
  for (const auto& file : files) {
    shards_.emplace_back(file);
    ids_.push_back(cryored::structure_id(file));
    const PairShard& shard = shards_.back();
    const double found = shard.voxel() > 0 ? shard.voxel() : voxel;
    if (!(found > 0))
      throw InputError(Problem{file, "voxel size", "not stated in this older shard", "one in A",
                               "give --voxel, 2.5 unless cryored pairs was told otherwise, or make the pairs anew"});
    if (voxel_ > 0 && std::abs(found - voxel_) > 1e-3 * voxel_)
      throw InputError(Problem{file, "voxel size", std::to_string(found) + " A",
                               std::to_string(voxel_) + " A, as in " + files.front(),
                               "one network serves one voxel size: train a network for each"});
    // Stored as float32; six decimals are what was meant.
    if (voxel_ <= 0) voxel_ = std::round(found * 1e6) / 1e6;
    for (std::size_t r = 0; r < shard.size(); ++r) {
      by_box_[shard.box()].push_back(entries_.size());
      entries_.push_back({shards_.size() - 1, r});
    }
  }
  if (entries_.empty()) {
    const bool training = part == Part::training;
    throw InputError(
        Problem{folder, training ? "shards to train on" : "shards to validate on",
                others.empty() ? "none" : "none, and " + std::to_string(others.size()) + " of the other part",
                "*.pairs of structures of both parts: their names decide, one in ten is validated on",
                std::string("make pairs of more structures with cryored pairs") +
                    (training ? "" : ", or name a folder that has such shards with --held-out")});
  }
}

std::vector<std::string> PairDataset::structures() const {
  const std::set<std::string> unique(ids_.begin(), ids_.end());
  return {unique.begin(), unique.end()};
}

std::string PairDataset::contents() const {
  constexpr std::size_t most = 65536;  // numbers of the first pair and the noise of its first planes
  std::string all;
  for (const PairShard& shard : shards_) {
    std::ifstream file(shard.path(), std::ios::binary);
    std::string begin(most, '\0');
    file.read(begin.data(), static_cast<std::streamsize>(most));
    begin.resize(static_cast<std::size_t>(file.gcount()));
    if (begin.empty())
      throw InputError(Problem{shard.path(), "", "cannot be read", "a shard of training pairs", "start the run again"});
    all += fs::path(shard.path()).lexically_relative(folder_).string() + "\t" + std::to_string(shard.size()) + "\t" +
           std::to_string(shard.box()) + "\t" + sha256_bytes(begin.data(), begin.size()) + "\n";
  }
  return all;
}

Example PairDataset::example(std::size_t i) const {
  const auto [shard, record] = entries_.at(i);
  TrainingPair pair = shards_[shard].read(record);
  Example e{std::move(pair.input), std::move(pair.target), pair.cut, std::move(pair.half_fsc)};
  scale(e, rule_);
  return e;
}

std::vector<std::size_t> PairDataset::boxes() const {
  std::vector<std::size_t> boxes;
  for (const auto& [box, entries] : by_box_) boxes.push_back(box);
  return boxes;
}

Example PairDataset::augmented(std::uint64_t seed, std::uint64_t step, std::uint64_t draw,
                               const Augmentation& how) const {
  const std::vector<std::size_t>* group = &by_box_.begin()->second;
  if (by_box_.size() > 1) {
    // As likely as the pairs of a box are many.
    std::mt19937_64 choice((seed + 1) * 0xD1B54A32D192ED03ull + step);
    std::size_t at = choice() % entries_.size();
    for (const auto& [box, entries] : by_box_) {
      group = &entries;
      if (at < entries.size()) break;
      at -= entries.size();
    }
  }
  std::mt19937_64 rng(seed * 0x9E3779B97F4A7C15ull + draw);
  const auto below = [&](int n) { return static_cast<int>(rng() % static_cast<std::uint64_t>(n)); };
  Example e = example((*group)[rng() % group->size()]);
  const int n = static_cast<int>(e.input.nx), drawn = below(24);
  const int kind = below(10), reach = kind < 7 ? 2 : kind < 9 ? n / 8 : n / 2;
  const auto move = [&](Example& one, int rotation, int far) {
    const int dx = below(2 * far + 1) - far, dy = below(2 * far + 1) - far, dz = below(2 * far + 1) - far;
    for (Map* map : {&one.input, &one.target}) *map = turned(*map, how.turn ? rotation : 0, dx, dy, dz);
  };
  move(e, drawn, reach);
  if (std::uniform_real_distribution<double>(0, 1)(rng) < how.assemblies) {
    Example other = example((*group)[rng() % group->size()]);
    move(other, below(24), n / 2);
    join(e, std::move(other), rule_);
  }
  return e;
}

}  // namespace cryored
