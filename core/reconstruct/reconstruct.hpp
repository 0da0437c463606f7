#pragma once
// One reconstruction from request to published map: what programs call. Which map becomes the
// result, and when the denoiser runs, is decided by the rules of docs/red.md.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/confidence_table.hpp"
#include "core/reconstruct/denoiser.hpp"
#include "core/reconstruct/guard.hpp"
#include "core/reconstruct/red.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {

struct RedOptions {
  enum class Prior {
    gaussian,  ///< what relion_external_reconstruct computes; no denoiser
    red,       ///< eq. (17) with lambda 1
    cw_red     ///< eq. (17) with lambda from the half-map FSC
  };
  Prior prior = Prior::cw_red;
  std::optional<double> lambda;             ///< 0 .. 1; overrides what the prior would choose
  double range_low = 10, range_high = 4.5;  ///< A: lambda is 0 at the first and worse, 1 at the second and better
  double fsc_threshold = 0.143;
  /// lambda of each shell, instead of what the prior would choose; `lambda` goes before it.
  std::optional<ConfidenceTable> per_shell;
  std::string symmetry;              ///< as parse_symmetry(); empty: from the job's files
  std::optional<double> pixel_size;  ///< A; else find_pixel_size()
  /// Where these two were given, for records and messages.
  std::string symmetry_source = "--symmetry", pixel_size_source = "--pixel-size";
  bool denoise_joined = false;  ///< make the denoised map the result of the final joined one, too
  ReconstructOptions gridding;
  GuardOptions guard;
};

/// Which map a request asks for and what is done with it.
struct ReconstructPlan {
  enum class Kind {
    half_map,    ///< half 1 or 2 of an auto-refinement or of a body
    joined_map,  ///< the final map of an auto-refinement from all particles, or of a body
    class_map,   ///< Class3D: no half-maps, the FSC column is zero
    other_map,   ///< a name that does not follow RELION's pattern
    image        ///< 2D reference
  };
  Kind kind = Kind::half_map;
  bool denoise = false;            ///< run the denoiser where lambda allows it
  bool result_is_denoised = true;  ///< else the result is the Gaussian (Wiener) map
  std::string beside;              ///< where the denoised map goes when it is not the result; else empty
  std::string rule;                ///< one sentence for the record
};
ReconstructPlan plan_for(const ReconstructRequest& request, const RedOptions& options);

/// Everything that is known before B and K are read, so that a program can leave the denoiser
/// unloaded where none is needed.
struct ReconstructDecision {
  ReconstructPlan plan;
  double pixel_size = 0;  ///< A; 0 when unknown, which only happens without a denoiser
  std::string pixel_size_source;
  ResolutionFigures resolution;
  Confidence confidence;  ///< per_shell is without the denoiser's own limit (its Nyquist frequency)
  Symmetry symmetry;
  std::string symmetry_source;
  bool symmetry_unknown = false;  ///< taken for C1 since no file of the job names one
  struct JobValue {
    std::string text, source;  ///< "1.05 A"
  };
  /// What the job itself says where the options say something else.
  std::optional<JobValue> job_pixel_size, job_symmetry;
  bool needs_denoiser = false;
  std::string why_not;  ///< when no denoiser is needed
};
/// Throws InputError when a denoiser is wanted and the pixel size is not found, UsageError for
/// options out of range.
ReconstructDecision decide(const ReconstructRequest& request, const RedOptions& options);
/// Lambda of a decision to denoise, once more: a table of confidence comes with the weights, and which weights serve
/// depends on the resolution that the decision holds.
void decide_lambda(const ReconstructRequest& request, const RedOptions& options, ReconstructDecision& decision);

struct ReconstructReport {
  ReconstructDecision decision;
  bool denoiser_ran = false;
  std::string denoiser;                                 ///< its description()
  ResampleBoxes denoiser_boxes;                         ///< box and voxel size it worked on
  int last_denoised_shell = 0;                          ///< the highest shell that it added to
  std::vector<double> lambda;                           ///< per shell 0 .. N/2, as applied
  std::optional<double> kept_noise;                     ///< of the denoiser's pass; absent without a half-map FSC
  GuardReport guard;                                    ///< lambda above is after it
  std::string result, beside;                           ///< files written; beside is empty when there is none
  std::vector<std::pair<std::string, double>> seconds;  ///< of each stage, in order
};

/// Reconstructs and writes the result map (and the one beside it) atomically, pixel size in the
/// header; nothing appears under a final name unless all computing has succeeded. `denoiser` may be
/// null where decision.needs_denoiser is false; else UsageError.
ReconstructReport reconstruct(const ReconstructRequest& request, const RequestArrays& arrays, const RedOptions& options,
                              const ReconstructDecision& decision, Denoiser* denoiser);
/// Same, opening the arrays and deciding itself.
ReconstructReport reconstruct(const ReconstructRequest& request, const RedOptions& options, Denoiser* denoiser);

}  // namespace cryored
