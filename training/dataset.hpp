#pragma once
// Batches for the trainer: shards of pairs, augmented. Deterministic: batch b of seed s
// is always the same for the same list of shards.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/normalise.hpp"
#include "training/pairs.hpp"

namespace cryored {

struct Example {
  Map input, target;  ///< divided by the input's scale
  int cut = 0;
  std::vector<float> half_fsc;  ///< shells 0 .. box/2
};

/// What is done to a pair that is drawn.
struct Augmentation {
  bool turn = true;       ///< by one of the 24 rotations of the cube (no mirror: proteins have a hand)
  double assemblies = 0;  ///< share of the examples to which a second pair is added, anywhere in the box
};

class PairDataset {
 public:
  enum class Part { training, validation };
  /// All shards below `folder` whose structure belongs to `part`. `voxel`: the voxel size (A) of shards that do
  /// not state theirs; 0 refuses those. Throws InputError when there are no shards, their voxel sizes differ, or two
  /// IDs differ in case only, of the other part too.
  PairDataset(const std::string& folder, Part part, Normalisation rule, double voxel = 0);

  std::size_t pairs() const { return entries_.size(); }
  std::vector<std::string> structures() const;
  double voxel() const { return voxel_; }  ///< A
  std::vector<std::size_t> boxes() const;  ///< in voxels, ascending
  std::size_t shards() const { return shards_.size(); }
  /// A line per shard, in their order: name below the folder, size, and the SHA-256 of how the file begins. Equal for
  /// folders that train alike; whole files would take minutes. Throws InputError where a shard can no longer be read.
  std::string contents() const;

  /// Pair i as it is, scaled.
  Example example(std::size_t i) const;
  /// A pair drawn by `draw`, augmented, and moved, sometimes across the edge as blocks of large maps are. Where there
  /// are several boxes, `step` alone decides which: pairs of one step can be stacked. An assembly is cut at the
  /// smaller of both cuts, has the worse of both half-map FSCs and is scaled anew.
  Example augmented(std::uint64_t seed, std::uint64_t step, std::uint64_t draw, const Augmentation& how = {}) const;

 private:
  struct Entry {
    std::size_t shard, record;
  };
  std::string folder_;
  Normalisation rule_;
  std::vector<PairShard> shards_;
  std::vector<std::string> ids_;
  std::vector<Entry> entries_;
  std::map<std::size_t, std::vector<std::size_t>> by_box_;  ///< box: its entries
  double voxel_ = 0;
};

/// Copy of a cubic map turned by rotation `which` (0 .. 23) of the cube and moved cyclically.
Map turned(const Map& map, int which, int dx, int dy, int dz);

}  // namespace cryored
