#pragma once
// The files by which RELION's pipeline follows an External job: its folder holds them.

#include <string>
#include <vector>

namespace cryored {

enum class RelionExit { success, failure, aborted };

/// Removes the marks of an earlier run.
void clear_relion_marks(const std::string& folder);
/// RELION_JOB_EXIT_SUCCESS, _FAILURE or _ABORTED; the last one also takes RELION_JOB_ABORT_NOW away.
void mark_relion_exit(const std::string& folder, RelionExit how);
/// RELION's GUI asks the job to stop.
bool relion_wants_abort(const std::string& folder);
/// RELION_OUTPUT_NODES.star: one particle STAR file, in the words of RELION 3.1 and of 4 and 5.
void write_output_nodes(const std::string& folder, const std::string& particles_star);

}  // namespace cryored
