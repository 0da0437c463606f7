#pragma once
// Disk space: RELION never deletes what it hands over (docs/cleanup.md).

#include <cstdint>
#include <string>
#include <vector>

#include "core/reconstruct/request.hpp"

namespace cryored {

struct CleanupReport {
  /// The last iteration before the request's whose STAR files are all there; its inputs and later
  /// ones stay. -1: there is none, nothing was removed.
  int kept_from = -1;
  std::vector<std::string> removed;  ///< names within the job's folder, sorted
  std::uint64_t bytes = 0;           ///< what they took on disk by their length
  /// What matched and stayed, as "name: reason" (symbolic link, not permitted), or why nothing was
  /// looked at; never a reason to fail, since the map is already in place.
  std::vector<std::string> notes;
};

/// Removes B and K (`_external_reconstruct_data_real.mrc`, `_data_imag.mrc`, `_weight.mrc`) of
/// iterations of the request's own job (same folder and root name, `_ct<iter>` continuations included)
/// that lie before its last finished one. An iteration is finished when its optimiser, sampling, data and
/// model STAR files (both halves' where there are halves) are there, which RELION writes at its end.
/// Inputs of the request's own iteration and of the last finished one stay, as do all maps, STAR files and
/// records. Symbolic links are neither followed nor removed, and a job folder that is one is left alone.
/// Does not throw for what the file system refuses.
CleanupReport remove_finished_inputs(const ReconstructRequest& request);

}  // namespace cryored
