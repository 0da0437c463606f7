#pragma once
// From a chosen device to one that LibTorch can use. Include only in .cpp files.

#include <c10/core/Device.h>

#include "models/device.hpp"

namespace cryored {

/// Makes the device ready: for a GPU, loads libtorch_cuda.so (programs link the CPU part only),
/// turns TF32 off and deterministic algorithms on, and runs one small convolution. Must come before
/// anything else asks LibTorch for CUDA, because LibTorch remembers the first answer.
/// Throws SystemError naming the way out; never falls back to the CPU.
c10::Device prepare_device(const DeviceChoice& choice);

/// Hands cached GPU memory back to the driver; nothing on the CPU.
void release_cached_memory(const c10::Device& device);

}  // namespace cryored
