// libcryored_phase_methods.so: phase retrieval with LibTorch.

#include <torch/utils.h>

#include "cli/phase_library.hpp"

namespace {

void set_threads(int count) { torch::set_num_threads(count); }

const cryored::PhaseApi api{cryored::PhaseApi::current_layout, CRYORED_VERSION, set_threads, cryored::make_iterative,
                            cryored::make_tv};

}  // namespace

extern "C" __attribute__((visibility("default"))) const cryored::PhaseApi* cryored_phase_api() { return &api; }
