#include "cli/phase_library.hpp"

#include "cli/installation.hpp"
#include "cli/module.hpp"

namespace cryored {

const PhaseApi& load_phase_library() {
  static const PhaseApi& api = load_module<PhaseApi>(phase_library_path(), "cryored_phase_api", "phase library");
  return api;
}

}  // namespace cryored
