#pragma once
// The STAR file that RELION hands to --external_reconstruct, read and validated.
// Contract: RELION 3.1.3, 4.0.x, 5.0.x; block names and labels as RELION writes them.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/formats/mrc.hpp"

namespace cryored {

struct ReconstructRequest {
  std::string star_path;
  std::string data_real, data_imag, weight;  ///< MRC paths as written (may be relative to the working directory)
  std::string result, result_star;
  double tau2_fudge = 1;
  double padding = 1;
  int dimensionality = 3;                   ///< 2 or 3
  int box = 0;                              ///< N, rlnOriginalImageSize
  int current_size = 0;                     ///< rlnCurrentImageSize = 2 r_max
  std::optional<double> pixel_size;         ///< A; RELION >= 4.0.1 only
  std::optional<double> particle_diameter;  ///< A; RELION >= 4.0.1 only
  std::vector<double> tau2;                 ///< per shell 0 .. N/2
  std::vector<double> fsc;                  ///< half-map FSC, per shell 0 .. N/2; all zero in Class3D

  /// The STAR file of the other half of the same iteration and class; empty where `half` is 0.
  std::string other_half() const;
  int padded_box() const;  ///< P = round(padding * N), as in the MRC files: P x P x (P/2+1)

  /// What the name says about the reconstruction: half 1 or 2, or 0 for a joined map
  /// (or Class3D); class/body number; iteration, -1 when the name does not follow RELION's pattern.
  int half = 0, class_number = 0, iteration = -1;
  bool is_body = false;
  std::string job_root;  ///< the <o> of <o>_itNNN...
  /// Where relative names in RELION's other files start, with a slash at its end; empty: the working directory.
  std::string root;
};

/// Parses and checks every field (presence, range, table length N/2+1, shells in order).
/// Throws InputError with file, label, value found, allowed, remedy.
ReconstructRequest read_request(const std::string& star_path);
/// Same for a caller whose working directory is `folder` (absolute): every path of the request is made absolute.
ReconstructRequest read_request(const std::string& star_path, const std::string& folder);
/// Same for files of a job that has ended: an array that lies beside the STAR file is taken from there, whatever folder
/// RELION ran in.
ReconstructRequest read_request_beside(const std::string& star_path);
/// Same from text that is already in memory; `star_path` serves messages and RELION's naming.
ReconstructRequest parse_request(std::string_view text, const std::string& star_path);

/// Data of one request: memory-mapped, in FFTW order, P/2+1 fastest; float_data() of all
/// three is never null.
struct RequestArrays {
  MrcFile real, imag, weight;
};
/// Opens the three MRC files; checks mode (float32, as RELION writes it), dimensions, truncation,
/// NaN and Inf, negative K, all-zero K. Negative K down to -1e-6 of the largest passes: RELION's
/// helical symmetrisation leaves such rounding (-2e-12 beside 3e6), and it may be handed on. Throws InputError with the
/// file and the first bad voxel.
RequestArrays open_arrays(const ReconstructRequest& request);

/// Pixel size in A: the request's own, else from the job's files beside the STAR file, by
/// RELION's names: `_model.star` (rlnPixelSize), the model and data files that an
/// `_optimiser.star` names, `_data.star` (rlnImagePixelSize of the first optics group, or 3.0's
/// detector pixel size and magnification), then the header of a class map. Files of
/// earlier iterations count, also those before a continuation, as `_ct<iter>` or under another
/// name; the latest comes first, and those of this iteration last: RELION writes them after the
/// call, so that they may be an older run's. A file whose box differs from the request's is passed over. Throws
/// InputError that names the option --pixel-size. `source` tells where it was found.
double find_pixel_size(const ReconstructRequest& request, std::string* source = nullptr);

/// Point group of the job in RELION's spelling, upper case ("C1" when found to be so):
/// from `_sampling.star` (rlnSymmetryGroup), else from --sym in the command
/// line that `_optimiser.star` records (before the first sampling file is written). nullopt when no
/// job file tells, and for 2D references.
std::optional<std::string> find_symmetry(const ReconstructRequest& request);

/// Helical symmetry that RELION imposes on the reference.
struct HelicalSymmetry {
  double rise = 0;   ///< A per asymmetrical unit
  double twist = 0;  ///< degrees per asymmetrical unit
};
/// From `_model.star` (rlnIsHelix, rlnHelicalRise and rlnHelicalTwist of the class);
/// nullopt when the job is not helical, ignores its helical symmetry, or no file tells.
std::optional<HelicalSymmetry> find_helix(const ReconstructRequest& request);

}  // namespace cryored
