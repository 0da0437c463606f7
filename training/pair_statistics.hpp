#pragma once
// What a training pair's errors look like, in figures that can be compared between pairs of several origins.

#include <string>
#include <vector>

#include "training/pairs.hpp"

namespace cryored {

/// Figures of one pair; NaN where the pair does not give one. F is the FSC of the input to the target, C the half-map
/// FSC. The error is the input less the target scaled by least squares in every shell by itself, so that it holds what
/// the truth does not explain: neither the target's grey scale nor a damping of whole shells counts. RMS values are
/// in units of the target's, scaled so, inside the structure.
///
/// Inside: where the target, low-passed at 15 A, exceeds 15 % of its maximum (simulation/truth_mask.hpp). Solvent: more
/// than 5 A away from there and within the sphere about the centre that reaches 5 A beyond the farthest voxel inside,
/// at most to 5 voxels from the box's faces, as RELION's particle mask does for data sets of cryored simulate. Beyond:
/// the rest of the box outside that sphere. A region of fewer than 200 voxels gives no figure.
struct PairFigures {
  std::string structure_id;
  int cut = 0;  ///< shells at or beyond it are empty

  // One value per shell 0 .. cut - 1.
  std::vector<double> power;      ///< log10 of the input's power over the target's
  std::vector<double> fsc;        ///< F
  std::vector<double> promised;   ///< sqrt(C), 0 for C < 0: F of a half-map whose errors are its own
  std::vector<double> amplitude;  ///< least-squares factor of the target in the input

  double nominal = 0;        ///< A, half-map FSC 0.143 read below the cut; infinite when no shell reaches it
  double limited = 0;        ///< 1 when C stays above 0.143 up to the cut, which is then `nominal`, else 0
  double margin = 0;         ///< shells from the nominal resolution to the cut
  double coarse_factor = 0;  ///< least-squares factor of the target in the input, shells coarser than 30 A
  double power_below = 0;    ///< mean of `power`, shells finer than 40 A up to the nominal one
  double power_beyond = 0;   ///< the same, shells beyond the nominal one
  double fsc_below = 0;      ///< mean F, shells finer than 40 A (coarser ones RELION joins) up to the nominal one
  double promise_below = 0;  ///< mean of `promised` over the same shells
  double overstated = 0;     ///< promise_below - fsc_below
  double fsc_beyond = 0;     ///< mean F beyond the nominal shell
  double rms_inside = 0, rms_solvent = 0, rms_beyond = 0;  ///< of the error
  double solvent_ratio = 0;                                ///< rms_solvent / rms_inside
  double beyond_ratio = 0;                                 ///< rms_beyond / rms_inside
  double kurtosis = 0;     ///< excess kurtosis of the solvent's error; 0 for Gaussian noise of one strength
  double correlation = 0;  ///< A, where the autocorrelation of the solvent's error has fallen to one half
};

/// `voxel` in A; `where` names the pair in errors. Throws InputError for a pair whose cut does not fit its box, with
/// values that are not finite, or whose target is empty.
PairFigures pair_figures(const TrainingPair& pair, double voxel, const std::string& structure_id,
                         const std::string& where);

}  // namespace cryored
