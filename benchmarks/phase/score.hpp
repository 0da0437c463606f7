#pragma once
// How well a method of cryored phase finds phases that are known, and what it invents.

#include <string>
#include <vector>

#include "core/particles/phase_method.hpp"
#include "training/phase_pairs.hpp"

namespace cryored {

/// Exposures of views of one structure at one dose: pictures from which truth, FRC and the two invention tests come.
struct PhaseScene {
  std::string structure;
  double dose = 0, pixel_size = 1;
  double radius = 0;  ///< A, of the sphere that holds the structure
  std::size_t box = 0;
  struct View {
    Map truth;                   ///< radians
    std::vector<Map> exposures;  ///< as RELION normalises them
    std::vector<Map> ice_only;   ///< the same number, without the particle, on the same scale
    std::vector<CtfParameters> ctfs;
  };
  std::vector<View> views;
};

struct SceneOptions {
  PhaseSetting setting;  ///< its first microscope, and the middle of each range
  double dose = 30;
  int views = 2, exposures = 10;
  std::uint64_t seed = 1;
};
PhaseScene make_scene(const Structure& structure, const std::string& name, const SceneOptions& options);

/// Medians over views. FRC: real-space mask (soft sphere of the structure's radius), mean removed, rings to Nyquist.
struct PhaseScore {
  double single_shell = 0, single_area = 0;  ///< first crossing of 0.5 in A; mean FRC of rings 1 to Nyquist
  double mean_shell = 0, mean_area = 0;      ///< of the mean of all exposures
  double contrast = 0;                       ///< (mean in the mask - mean outside) / SD outside, single exposure
  double blank_power = 0;                    ///< power inside the mask with ice only / with the particle
  double blank_area = 0;                     ///< area of the FRC of what ice alone gives with the truth
  double wrong_area = 0;  ///< area of the FRC with the truth of another molecule, less that of the two truths
  double seconds = 0;     ///< per image
};

/// `other`: a scene of another structure with as many views, for wrong_area.
PhaseScore score_method(PhaseMethod& method, const PhaseScene& scene, const PhaseScene& other);

double median(std::vector<double> values);  ///< 0 of none

}  // namespace cryored
