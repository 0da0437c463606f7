#pragma once
// From a chosen device to one that LibTorch can use. Include only in .cpp files.

#include <c10/core/Device.h>
#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "core/base/device_failure.hpp"
#include "core/base/error.hpp"
#include "models/device.hpp"

namespace cryored {

/// Makes the device ready: for a GPU, loads libtorch_cuda.so (programs link the CPU part only),
/// turns TF32 off and deterministic algorithms on, makes it the calling thread's current device, and runs one
/// small convolution. Must come before anything else asks LibTorch for CUDA, because LibTorch remembers the first
/// answer.
/// Throws SystemError naming the way out, DeviceMemoryError where the card is full; never falls back to the CPU.
c10::Device prepare_device(const DeviceChoice& choice);

/// What the device could not hold; caught where less can be tried.
struct OutOfMemory {
  std::string what;
};

/// What LibTorch's message says of a computation on a GPU that failed.
enum class GpuFault {
  memory,       ///< the card is full; less may do
  device,       ///< the card or the context is lost, and each later call with it
  computation,  ///< this one only, or what this LibTorch or driver cannot do
};
GpuFault gpu_fault(const std::string& what);

/// LibTorch's exceptions of `action` become ours: OutOfMemory, or SystemError with `remedy` (on a GPU with what
/// explain_gpu_failure() knows; DeviceFailure where it is lost).
template <typename Action>
auto with_our_errors(const DeviceChoice& choice, const char* remedy, Action&& action) -> decltype(action()) {
  try {
    return action();
  } catch (const c10::OutOfMemoryError& e) {
    throw OutOfMemory{e.what_without_backtrace()};
  } catch (const c10::Error& e) {
    const std::string what = e.what_without_backtrace();
    const GpuFault fault = gpu_fault(what);
    if (fault == GpuFault::memory) throw OutOfMemory{what};
    if (choice.cuda && fault == GpuFault::device) throw DeviceFailure(explain_gpu_failure(choice, what));
    if (choice.cuda) throw SystemError(explain_gpu_failure(choice, what));
    throw SystemError(Problem{choice.text, "LibTorch", what, "", remedy});
  } catch (const std::bad_alloc&) {
    throw OutOfMemory{"allocation failed"};
  }
}

/// Hands cached GPU memory back to the driver; nothing on the CPU.
void release_cached_memory(const c10::Device& device);

}  // namespace cryored
