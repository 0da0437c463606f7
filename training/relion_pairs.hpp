#pragma once
// Training pairs from refinements that RELION really ran: the unregularised half-maps of every
// iteration and the truth of the simulated particles.

#include <string>
#include <vector>

#include "training/pairs.hpp"

namespace cryored {

/// A refinement with --external_reconstruct of simulated particles.
struct FinishedRefinement {
  std::string structure_id;        ///< "1A2K"; decides whether its pairs are trained on
  std::string name;                ///< of the data set and the way it was refined, for the shard's folder
  std::string truth;               ///< map in the frame and on the grey scale of the particles
  std::vector<std::string> stars;  ///< *_half?_class001_external_reconstruct.star, ascending; those with their arrays
  std::size_t without_arrays = 0;  ///< further ones, whose arrays were removed (--cleanup)
};

/// The jobs below the output folder of cryored evaluate refine, whose layout is
/// <folder>/<ID>_box<N>_.../<mode>/run_it*.star beside <ID>_box<N>_.../particles/truth.mrc. In a name without "_box"
/// the first underscore ends the ID.
/// A job may have no STAR file left that has its arrays. Throws InputError when none has one.
std::vector<FinishedRefinement> finished_refinements(const std::string& folder);

/// The map cut at shell `cut`, and the truth cut there and scaled to it by least squares over the shells coarser than
/// 30 A. `where` names the map in errors. Throws InputError when the two have nothing in common there.
TrainingPair pair_of(const Map& map, const Map& truth, int cut, double voxel, const std::string& where);

/// One pair per STAR file: pair_of() B/K and the truth at r_max (coarser than 30 A a refinement from a 30 A reference
/// is right). Throws InputError for another box or pixel size than the options'.
std::vector<TrainingPair> relion_pairs(const FinishedRefinement& job, const PairOptions& options);

}  // namespace cryored
