#pragma once
// What RELION makes of processed particle images: 2D classes, poses, and maps of the raw images in these poses.

#include <functional>
#include <string>
#include <vector>

#include "evaluation/score.hpp"

namespace cryored {

/// A stack that RELION is given.
struct PhaseVariant {
  std::string name;                  ///< "raw", "wiener:10:100"
  std::string star;                  ///< particles
  std::string stack;                 ///< its stack's file name without folders
  std::vector<std::string> options;  ///< of RELION, as docs/phase.md says: "--ctf", "--ctf_phase_flipped", or none
};

struct Class2dOptions {
  int classes = 8, iterations = 10, threads = 2, random_seed = 1;
  double tau = 2, diameter = 0;  ///< --tau2_fudge; A
};

/// Runs relion_refine in `folder` unless all files of its last iteration are there, complete. False when cancelled.
/// Throws SystemError with the end of its log.
bool run_class2d(const PhaseVariant& variant, const Class2dOptions& options, const std::string& folder,
                 const std::function<void(const std::string&)>& report, const std::function<bool()>& cancelled);

struct Class2dScore {
  struct Class {
    std::size_t particles = 0;
    double resolution = 0, area = 0;  ///< FRC 0.5 (A) and area, to the mean of the true projections in RELION's poses
  };
  std::vector<Class> classes;  ///< those with particles, largest first
  /// Medians over the particles: of their class's figures, and of the angle (degrees) between a particle's true
  /// orientation, turned by RELION's psi, and the middle one of its class. Small where alike views came together.
  double resolution = 0, area = 0, spread = 0;
};
/// `iteration` of run_class2d()'s results against the true poses and map. Throws InputError.
Class2dScore score_class2d(const std::string& folder, int iteration, const PhaseVariant& variant, const Truth& truth);

/// The refined poses of `refined_star` with the rows of `raw_star` (image names, optics, CTF): a file that
/// relion_reconstruct --ctf takes. Rows are matched by the number of the image. Throws InputError.
void write_raw_poses(const std::string& refined_star, const std::string& raw_star, const std::string& out);

struct RawMapScore {
  MapScore map;                    ///< of all particles, to the truth
  double half_map_resolution = 0;  ///< A, FSC 0.143 between both halves
};
/// relion_reconstruct --ctf of `star`, all particles and each half, in `folder` unless the maps of this very file are
/// there (<name>.sha256 has its digest); `name` begins the files' names. False when cancelled.
bool reconstruct_raw(const std::string& star, const std::string& folder, const std::string& name, const Truth& truth,
                     RawMapScore& score, const std::function<bool()>& cancelled);

}  // namespace cryored
