#pragma once
// What the name of a STAR file says before anything is read.

#include <string>

#include "core/reconstruct/request.hpp"

namespace cryored {

/// A request with star_path and what follows from it: half, class or body, iteration, job_root. Nothing else is set;
/// a name that does not follow RELION's pattern leaves iteration -1.
ReconstructRequest request_of_name(const std::string& star_path);

}  // namespace cryored
