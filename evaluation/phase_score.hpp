#pragma once
// How well a method of phase retrieval finds phases that are known, and what it invents.

#include <string>
#include <vector>

#include "evaluation/phase_scene.hpp"

namespace cryored {

/// Soft mask of a particle: a disc of the structure's radius and 5 A, falling to 0 over 10 A, within the box.
Map particle_disc(std::size_t box, double pixel_size, double radius);

/// mask * (image - its mean under the mask).
Map under_mask(const float* image, const Map& mask);

/// Soft mask of what the truth covers: where it, blurred by 2 A, exceeds a tenth of its maximum, the edge blurred by
/// 1.5 A (Gaussians of that SD).
Map outline_mask(const Map& truth, double pixel_size);

/// Resolution in A where the curve (rings 0 .. N/2) first falls through 0.5; at the best Nyquist, infinite when it is
/// nowhere above. Ring 0 does not count, and a curve that begins below 0.5, as near the CTF's zero at frequency 0, may
/// rise first.
double frc_resolution(const std::vector<double>& frc, std::size_t box, double pixel_size);

/// Mean of rings 1 to Nyquist: the area under the curve over the area of a curve of 1.
double frc_area(const std::vector<double>& frc);

/// (mean where the truth is above a fifth of its maximum - mean where the mask is 0) / SD where the mask is 0; 0 where
/// one of the places is empty or the SD is 0.
double image_contrast(const float* image, const Map& truth, const Map& mask);

double median(std::vector<double> values);  ///< 0 of none

/// One number for each particle (view and exposure, views first) or each view.
struct PhaseScore {
  std::vector<double> single_resolution, single_area;  ///< A; a particle each
  std::vector<double> mean_resolution, mean_area;      ///< of the mean of a view's exposures; a view each
  /// Area of the FRC under the truth's outline instead of the disc, that is without what is gained by finding out where
  /// the particle is not: a particle each, a view each.
  std::vector<double> single_outline, mean_outline;
  std::vector<double> contrast;  ///< a particle each
  /// A blank image each: power under the mask over that with the particle; area of the FRC with the truth, and with
  /// what the next blank gave (what a method paints on nothing, time and again).
  std::vector<double> blank_power, blank_area, blank_repeat;
  /// A particle each: by how much the area of the FRC with the other molecule's truth, in the view where it is largest,
  /// exceeds what the two truths share there. Noise alone makes it larger than 0: compare with the filters.
  std::vector<double> wrong_area;
  std::vector<double> single_frc, mean_frc;  ///< median over particles or views, ring by ring, 0 .. N/2
  double seconds = 0;                        ///< per image
  Map single, mean;                          ///< of the first view: first exposure, mean of all
};

/// `other`: true phases of another molecule in the same number of views or more.
PhaseScore score_phase_method(PhaseMethod& method, const PhaseScene& scene, const std::vector<Map>& other);

/// The medians, as tables show them.
struct PhaseSummary {
  double single_resolution = 0, single_area = 0, mean_resolution = 0, mean_area = 0, contrast = 0;
  double single_outline = 0, mean_outline = 0;
  double blank_power = 0, blank_area = 0, blank_repeat = 0, wrong_area = 0, seconds = 0;
};
/// Over all particles of `scores` at once (a structure's, or all structures'); seconds: the median over the scores.
PhaseSummary summarise(const std::vector<const PhaseScore*>& scores);

}  // namespace cryored
