#pragma once
// Training pairs from half-maps of experimental reconstructions, as EMDB keeps them. There is no truth, but the other
// half has errors of its own: a network that minimises the squared difference to it learns the same as from the truth
// (Lehtinen et al., Noise2Noise, ICML 2018).

#include <string>
#include <vector>

#include "training/pairs.hpp"

namespace cryored {

struct HalfMapFiles {
  std::string id;              ///< of the specimen as far as names tell; decides between training and validation
  std::string shard;           ///< name of its shard: `id`, and what tells iterations of one job apart behind a '.'
  std::string former, nested;  ///< what earlier versions named it, alone and among others of that name
  std::string first, second;
};

/// Pairs of files below `folder` (MRC, not compressed) that differ only in half_map_1 / half_map_2, half1 / half2 or
/// half_1 / half_2; the id is the name before that without RELION's _itNNN and _ctNNN. Where that is "run" or nothing,
/// the path below `folder` stands in front of it, or the folder's own name. So it does not depend on what else lies
/// there. Sorted. Throws InputError when there is none.
std::vector<HalfMapFiles> half_map_files(const std::string& folder);

/// Both maps resampled to options.voxel, cut ten shells beyond FSC 0.143 of the whole maps, and windowed into blocks of
/// options.box that overlap by half, those with a quarter of the strongest block's power at least. Each block gives two
/// pairs, either half the input and the other the target. Throws InputError when the maps differ in size or
/// pixel size, carry none or do not agree at all.
std::vector<TrainingPair> half_map_pairs(const HalfMapFiles& files, const PairOptions& options);

}  // namespace cryored
