#pragma once
// What one reconstruction is asked for and what follows from it, before B and K are read.

#include <string>

#include "cli/options.hpp"
#include "core/reconstruct/reconstruct.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {

/// What is known of a run before B and K are read: request, options and decision.
struct RunIntent {
  ReconstructRequest request;
  RedOptions options;
  ReconstructDecision decision;
  std::string weights;  ///< file or "builtin:...", where the plan has a denoiser; else empty
};
/// `settings.arguments[0]` is the STAR file. Throws Error.
RunIntent intend_reconstruction(const Settings& settings);

}  // namespace cryored
