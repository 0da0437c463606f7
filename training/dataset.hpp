#pragma once
// Batches for the trainer: shards of pairs, augmented. Deterministic: batch b of seed s
// is always the same for the same list of shards.

#include <cstdint>
#include <string>
#include <vector>

#include "models/normalise.hpp"
#include "training/pairs.hpp"

namespace cryored {

struct Example {
  Map input, target;  ///< divided by the input's scale
  int cut = 0;
  double nominal_resolution = 0;
};

class PairDataset {
 public:
  enum class Part { training, validation };
  /// All shards below `folder` whose structure belongs to `part`; throws InputError when there are none.
  PairDataset(const std::string& folder, Part part, Normalisation rule);

  std::size_t pairs() const { return entries_.size(); }
  std::size_t shards() const { return shards_.size(); }
  std::vector<std::string> structures() const;

  /// Pair i as it is, scaled.
  Example example(std::size_t i) const;
  /// A pair drawn by `draw`, turned by one of the 24 rotations of the cube (no mirror: proteins
  /// have a hand) and moved, sometimes across the edge as blocks of large maps are.
  Example augmented(std::uint64_t seed, std::uint64_t draw) const;

 private:
  struct Entry {
    std::size_t shard, record;
  };
  Normalisation rule_;
  std::vector<PairShard> shards_;
  std::vector<std::string> ids_;
  std::vector<Entry> entries_;
};

/// Copy of a cubic map turned by rotation `which` (0 .. 23) of the cube and moved cyclically.
Map turned(const Map& map, int which, int dx, int dy, int dz);

}  // namespace cryored
