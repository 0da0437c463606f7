#pragma once
// Compares a refinement with the truth, iteration by iteration.

#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/fourier/grid.hpp"
#include "evaluation/poses.hpp"
#include "evaluation/relion_files.hpp"

namespace cryored {

/// A map against the truth: FSC per shell 0 .. N/2 and the resolution in A at its first crossing of 0.5, without a mask
/// and with both maps inside the mask of the truth.
///
/// Without a mask both maps are multiplied by sinc^2(r / (N p)): RELION divides its maps by that, which makes the
/// constant that it leaves beyond r = N/2 up to forty times stronger in the corners (p = 1), while the half-map FSC
/// that this curve is held against is taken from B and K, before the division.
struct MapScore {
  std::vector<double> fsc, fsc_masked;  ///< fsc: empty where nobody compared without a mask
  double resolution = std::numeric_limits<double>::quiet_NaN(), resolution_masked = 0;
};

/// What cryored's record beside a reconstruction says; empty for plain refinements.
struct ReconstructionNote {
  std::optional<double> lambda, resolution, seconds;
  std::optional<double> kept_noise = {};
  std::vector<double> created = {};  ///< the guard's figure per shell (docs/guard.md); empty where it did not run
  std::optional<double> bound = {};  ///< and its bound
};

struct IterationScore {
  int iteration = 0;
  IterationFacts facts;
  double half_map_resolution = 0;  ///< A, first crossing of 0.143 of RELION's half-map FSC
  std::array<MapScore, 2> halves;
  MapScore mean;  ///< of the mean of both half-maps
  double angle_median = 0, angle_percentile90 = 0, angle_share_within_10 = 0;
  double global_rotation = 0;  ///< degrees between the refined frame and the true one
  std::array<ReconstructionNote, 2> notes;
  double seconds = 0;  ///< wall clock; 0 when it was not watched
};

struct RefinementScore {
  std::vector<IterationScore> iterations;
  /// RELION's joined map where the refinement converged, else the mean of the last half-maps.
  std::string final_kind;
  std::vector<std::string> final_maps;  ///< one file, or the two that were averaged
  MapScore final_map;
  std::vector<double> final_half_fsc;  ///< RELION's, per shell
  double final_half_map_resolution = 0;
  /// Degrees, and a share from 0 to 1; NaN in records whose angles were measured otherwise.
  double angle_median = 0, angle_percentile90 = 0, angle_share_within_10 = 0;
  std::vector<double> angle_histogram = {};  ///< share of the particles per 2 degrees, 0 .. 180; empty in older scores
  /// The sum of both halves' B over that of their K, without prior, mask or denoiser (joined_raw()): what the
  /// refinement found without the polish of its last pass. Absent where neither B and K nor RELION's unfiltered
  /// half-maps are there.
  std::optional<MapScore> raw = {};
  /// The denoiser's map of both halves' data, which cryored leaves beside the joined map of a converged refinement
  /// (docs/red.md): the polish of a last pass included.
  std::optional<MapScore> denoised = {};
  /// relion_reconstruct with the orientations that were found, each particle once: the same for every mode.
  std::optional<MapScore> angles_found = {};
  std::size_t box = 0;
  double pixel_size = 0;
};

/// The map by which a refinement is judged, without a denoiser's last word: the final one, or, where a denoiser took
/// part (`denoises`) and the refinement did not converge, so that its half-maps are the denoiser's own, the raw one.
/// Null where that is missing or was not compared without a mask.
const MapScore* judged(const RefinementScore& score, bool denoises, bool converged);

/// The denoiser's own map, beside it: of the joined data where the refinement converged, else the mean of its last
/// half-maps. Null where there is none.
const MapScore* denoised(const RefinementScore& score, bool denoises, bool converged);

/// The truth of a simulated data set, read once for all refinements of it.
struct Truth {
  Map map, mask;
  double pixel_size = 0;
  std::vector<Pose> poses;
  std::vector<Rotation> self_rotations;  ///< at 12 A: turns that particles may take unnoticed
};
/// `folder` as simulate_particles() writes it: truth.mrc and particles_truth.star.
Truth read_truth(const std::string& folder);

/// The same data set in the other hand: projections do not tell a structure from its mirror image, so that a refinement
/// which began with the mirrored start map is right when it ends with this one. Map and mask mirrored as mirrored()
/// does; with S that mirror, the poses' matrices are S A S and the self rotations S R S.
Truth other_hand(const Truth& truth);

Map mean_of(const Map& a, const Map& b);

/// A, at the first crossing of `threshold`: crossing_shell(), shell_resolution().
double resolution_at(const std::vector<double>& curve, double threshold, std::size_t box, double pixel_size);

/// FSC of two maps of equal size without a mask, as MapScore has it.
std::vector<double> fsc_without_mask(const Map& a, const Map& b, double padding);

/// `padding`: p of the reconstruction that made the map (rlnPaddingFactor). Throws InputError when the sizes differ.
MapScore score_map(const Map& map, const Truth& truth, double padding);

/// For RefinementScore::angle_histogram.
std::vector<double> share_per_2_degrees(const std::vector<double>& degrees);

/// Scores every finished iteration of the job in `folder` and its result. Throws InputError
/// when no iteration has finished.
RefinementScore score_refinement(const std::string& folder, const Truth& truth);

/// JSON as described in docs/refinements.md (schema "cryored-refine-score" 3). Reads versions 1 and 2 too, without what
/// they measured otherwise: version 1 compared the corners of the box as they are (MapScore::fsc empty), and both
/// forgave turns that are no symmetry (angles NaN).
std::string score_json(const RefinementScore& score);
std::string score_json(const MapScore& score);
RefinementScore parse_score_json(const std::string& text, const std::string& path_for_messages);

}  // namespace cryored
