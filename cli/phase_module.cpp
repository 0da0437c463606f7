// libcryored_phase_methods.so: phase retrieval with LibTorch.

#include "cli/phase_library.hpp"
#include "training/phase_pairs.hpp"

namespace {

const cryored::PhaseApi api{
    cryored::PhaseApi::current_layout, CRYORED_VERSION, cryored::make_iterative, cryored::make_tv, cryored::make_pinn,
    cryored::simulate_phase_exposures};

}  // namespace

extern "C" __attribute__((visibility("default"))) const cryored::PhaseApi* cryored_phase_api() { return &api; }
