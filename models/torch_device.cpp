#include "models/torch_device.hpp"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <torch/types.h>

#include <algorithm>
#include <initializer_list>

#include "core/base/error.hpp"

namespace cryored {
namespace {

/// A function of the CUDA runtime, which libtorch_cpu.so brings with it: looked up through that library, because
/// LibTorch may have been loaded into a scope of its own. Null where this LibTorch is built without CUDA.
void* cuda_runtime_function(const char* name) {
  Dl_info torch{};
  if (dladdr(reinterpret_cast<const void*>(&at::globalContext), &torch) == 0) return nullptr;
  void* library = dlopen(torch.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  void* function = library ? dlsym(library, name) : nullptr;
  if (library) dlclose(library);  // the count of this dlopen; the library stays
  return function;
}

/// Loads LibTorch's CUDA part; its static initialisers register the kernels.
void load_cuda_part(const DeviceChoice& choice) {
  // The driver is compared before half a gigabyte is loaded.
  if (const auto version = reinterpret_cast<int (*)(int*)>(cuda_runtime_function("cudaRuntimeGetVersion"))) {
    int runtime = 0;
    if (version(&runtime) == 0) check_driver(choice, runtime);
  }
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    const char* error = dlerror();
    throw SystemError(explain_gpu_failure(choice, error ? error : "libtorch_cuda.so: cannot open shared object file"));
  }
}

}  // namespace

c10::Device prepare_device(const DeviceChoice& choice) {
  if (!choice.cuda) return c10::Device(c10::kCPU);
  load_cuda_part(choice);
  const c10::Device device(c10::kCUDA, static_cast<c10::DeviceIndex>(choice.gpu.index));
  const auto probe_device = [&] {
    // Libraries that know of no device argument, NCCL among them, take the thread's current one.
    at::accelerator::setDeviceIndex(device.index());
    auto& context = at::globalContext();
    // TF32 keeps 10 bits of the mantissa: CPU and GPU would differ by a thousandth.
    for (const auto op : {at::Float32Op::CONV, at::Float32Op::MATMUL})
      context.setFloat32Precision(at::Float32Backend::CUDA, op, at::Float32Precision::IEEE);
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
    torch::NoGradGuard no_grad;
    const auto probe = torch::conv3d(torch::ones({1, 1, 4, 4, 4}, device), torch::ones({1, 1, 3, 3, 3}, device));
    const float sum = probe.sum().item<float>();
    if (sum != 8 * 27)
      throw SystemError(explain_gpu_failure(choice, "a test convolution gave " + std::to_string(sum) + ", not 216"));
  };
  try {
    with_our_errors(choice, "", probe_device);
  } catch (const OutOfMemory& e) {
    throw DeviceMemoryError(explain_gpu_failure(choice, "out of memory: " + e.what));
  }
  return device;
}

GpuFault gpu_fault(const std::string& what) {
  const auto has = [&](std::initializer_list<const char*> texts) {
    return std::any_of(texts.begin(), texts.end(), [&](const char* t) { return what.find(t) != what.npos; });
  };
  // Handles of cuDNN and cuBLAS that a full card leaves no room for are "not initialized".
  if (has({"allocate memory", "out of memory", "_STATUS_ALLOC_FAILED", "_STATUS_NOT_INITIALIZED"}))
    return GpuFault::memory;
  // A card that another process holds alone is busy; it and the context are sound.
  if (has({"no kernel image", "not compatible", "driver version is insufficient", "busy or unavailable",
           "invalid device ordinal", "invalid argument", "_STATUS_NOT_SUPPORTED", "_STATUS_BAD_PARAM",
           "_STATUS_INVALID_VALUE", "_STATUS_ARCH_MISMATCH"}))
    return GpuFault::computation;
  return has({"CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS"}) ? GpuFault::device : GpuFault::computation;
}

void release_cached_memory(const c10::Device& device) {
  if (device.is_cuda()) at::accelerator::emptyCache();
}

}  // namespace cryored
