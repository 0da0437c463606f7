#pragma once
// The phase network as a method of cryored phase. Free of torch.

#include <memory>
#include <string>

#include "core/particles/phase_method.hpp"
#include "models/block_denoiser.hpp"
#include "models/device.hpp"

namespace cryored {

/// Loads and verifies the weights and makes the device ready. Phases come back in radians. Threads as in make_tv().
/// `precision`: that of the U-Nets; waves are float32. Throws InputError (weights), SystemError (device).
std::unique_ptr<PhaseMethod> make_pinn(const std::string& weights, Precision precision, const DeviceChoice& device,
                                       int threads);

}  // namespace cryored
