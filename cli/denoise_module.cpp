// libcryored_denoise.so: the only part of the programs that is linked with LibTorch.

#include <torch/version.h>

#include "cli/denoise_library.hpp"

namespace {

std::string torch_version() { return TORCH_VERSION; }

const cryored::DenoiseApi api{cryored::DenoiseApi::current_layout, CRYORED_VERSION, cryored::make_denoiser,
                              torch_version};

}  // namespace

extern "C" __attribute__((visibility("default"))) const cryored::DenoiseApi* cryored_denoise_api() { return &api; }
