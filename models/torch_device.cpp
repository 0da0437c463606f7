#include "models/torch_device.hpp"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <torch/types.h>

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
  try {
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
  } catch (const c10::Error& e) {
    throw SystemError(explain_gpu_failure(choice, e.what_without_backtrace()));
  }
  return device;
}

bool is_device_failure(const std::string& what) {
  const auto has = [&](const char* text) { return what.find(text) != std::string::npos; };
  return (has("CUDA error") || has("CUDNN_STATUS") || has("CUBLAS_STATUS")) && !has("no kernel image") &&
         !has("not compatible") && !has("driver version is insufficient");
}

void release_cached_memory(const c10::Device& device) {
  if (device.is_cuda()) at::accelerator::emptyCache();
}

}  // namespace cryored
