#pragma once
// What a RELION auto-refine job leaves behind, iteration by iteration (RELION 3.1 to 5).

#include <optional>
#include <string>
#include <vector>

namespace cryored {

/// Files of one finished iteration. After a restart RELION adds "_ct<iteration>" to its root
/// name, so an iteration's root need not be the job's; the newest of several is taken.
struct RelionIteration {
  int iteration = 0;
  std::string root;  ///< "<folder>/run_it003" or "<folder>/run_ct2_it003"
  std::string optimiser() const { return root + "_optimiser.star"; }
  std::string data() const { return root + "_data.star"; }
  std::string sampling() const { return root + "_sampling.star"; }
  std::string model(int half) const { return root + "_half" + std::to_string(half) + "_model.star"; }
  std::string map(int half) const { return root + "_half" + std::to_string(half) + "_class001.mrc"; }
  /// Record that cryored left beside its reconstruction of this half.
  std::string record(int half) const;
};

/// Whether RELION has written the STAR file to its end, which a full disk or a stop may have kept it from: it parses,
/// has the block, and ends as every table does, with an empty line.
bool complete_star(const std::string& path, const std::string& block);
/// Whether the MRC file is as large as its header states.
bool complete_map(const std::string& path);

/// Finished iterations after `after` of the job whose files start with `<folder>/run`, in ascending order; one counts
/// as finished when all files above (without the record) are complete. That they are there does not tell: RELION's
/// ranks write at the same time, the leader the optimiser first and the data last, and RELION does not notice a full
/// disk. Iteration 0, which only holds the start, is left out.
std::vector<RelionIteration> finished_iterations(const std::string& folder, int after = 0);

/// Root of the converged job's joined result ("<folder>/run" or "<folder>/run_ct5"), whose complete files
/// are <root>_class001.mrc, <root>_model.star, <root>_sampling.star, <root>_data.star; beside them lie
/// <root>_half1_class001_unfil.mrc and that of half 2.
std::optional<std::string> joined_result(const std::string& folder);

/// The denoised map that cryored left beside the joined map of the last iteration; none where there is no joined
/// result, or none denoised.
std::optional<std::string> denoised_joined_map(const std::string& folder);

/// Facts of an iteration's STAR files.
struct IterationFacts {
  int healpix_order = 0;
  int current_size = 0;   ///< pixels
  double pixel_size = 0;  ///< A
  double padding = 0;     ///< rlnPaddingFactor
  double resolution = 0;  ///< rlnCurrentResolution, A
  double average_pmax = 0;
  std::vector<double> half_fsc;  ///< rlnGoldStandardFsc, shells 0 .. N/2
};
/// Throws InputError naming file, block and label.
IterationFacts read_facts(const std::string& model_star, const std::string& sampling_star);

/// Where RELION's log says that it is.
struct LogProgress {
  int iteration = 0;              ///< 0 until the first expectation step
  std::string phase;              ///< "expectation", "maximization", "accuracy" or "start"
  double elapsed = 0, total = 0;  ///< s of the phase by RELION's own progress bar; total 0 when unknown
};
/// Reads the end of a log (carriage returns and progress bars included).
LogProgress parse_log(const std::string& text);

/// "3.1.3", or "3.1.3 VECTOR-ACC=single" of an accelerated build, from the log's first lines; empty when the log does
/// not say.
std::string relion_version_in(const std::string& log_text);

}  // namespace cryored
