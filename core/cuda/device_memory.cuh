#pragma once
// Errors as exceptions inside the library, owned device memory, launches and cuFFT plans.

#include <cuda_runtime.h>
#include <cufft.h>

#include <cstring>
#include <string>
#include <tuple>

#include "core/cuda/cuda_api.h"

namespace cryored::cuda {

struct Failure {
  int status;
  std::string message;
};

/// Of an error that says nothing of its own: a lost context fails in each later call, too.
inline int status_by_asking() {
  return cudaDeviceSynchronize() == cudaSuccess ? CRYORED_CUDA_COMPUTATION : CRYORED_CUDA_FAILURE;
}

inline int status_of(cudaError_t error) {
  switch (error) {
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable:  // another process holds it alone
      return CRYORED_CUDA_NO_DEVICE;
    case cudaErrorInsufficientDriver:
    case cudaErrorInitializationError:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
    case cudaErrorSystemNotReady:
      return CRYORED_CUDA_DRIVER;
    case cudaErrorMemoryAllocation:
      return CRYORED_CUDA_MEMORY;
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidKernelImage:
      return CRYORED_CUDA_ARCHITECTURE;
    default:
      return status_by_asking();
  }
}

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // the next call starts clean
  throw Failure{status_of(error), std::string(what) + ": " + cudaGetErrorString(error)};
}

inline void check(cufftResult result, const char* what) {
  if (result == CUFFT_SUCCESS) return;
  const int status = result == CUFFT_ALLOC_FAILED ? CRYORED_CUDA_MEMORY : status_by_asking();
  throw Failure{status, std::string(what) + ": cuFFT error " + std::to_string(static_cast<int>(result))};
}

/// kernel<<<blocks, threads>>>(arguments...), as a call: the tests compile these files for the CPU, too
/// (tests/cuda_on_cpu).
template <typename... Parameters, typename... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), dim3 blocks, unsigned threads, Arguments... arguments) {
  std::tuple<Parameters...> values(arguments...);
  std::apply(
      [&](Parameters&... value) {
        void* pointers[] = {&value...};
        check(cudaLaunchKernel(kernel, blocks, dim3(threads), pointers), what);
      },
      values);
}

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    check(cudaMalloc(&data_, count * sizeof(T)), "allocation of GPU memory");
  }
  DeviceArray(const T* host, std::size_t count) : DeviceArray(count) {
    const cudaError_t error = cudaMemcpy(data_, host, count * sizeof(T), cudaMemcpyHostToDevice);
    check(error, "copy to the GPU");
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  T* get() const { return data_; }
  std::size_t size() const { return count_; }
  std::size_t bytes() const { return count_ * sizeof(T); }
  void clear() { check(cudaMemset(data_, 0, bytes()), "clearing of GPU memory"); }
  void copy_to(T* host) const { check(cudaMemcpy(host, data_, bytes(), cudaMemcpyDeviceToHost), "copy from the GPU"); }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

class FftPlan {
 public:
  /// 2D where ny == 1. In-place layouts: real rows padded to 2 (nx / 2 + 1).
  FftPlan(int nz, int ny, int nx, cufftType type) {
    check(ny == 1 ? cufftPlan2d(&plan_, nz, nx, type) : cufftPlan3d(&plan_, nz, ny, nx, type), "cuFFT plan");
  }
  ~FftPlan() { cufftDestroy(plan_); }
  FftPlan(const FftPlan&) = delete;
  FftPlan& operator=(const FftPlan&) = delete;
  cufftHandle get() const { return plan_; }

 private:
  cufftHandle plan_ = 0;
};

/// Runs `work` on a device and turns what it throws into the C interface's status and message.
template <typename F>
int guarded(int device, char* message, std::size_t message_size, F work) {
  int status = CRYORED_CUDA_OK;
  std::string text;
  try {
    int count = 0;
    check(cudaGetDeviceCount(&count), "search for GPUs");
    if (device < 0 || device >= count)
      throw Failure{CRYORED_CUDA_NO_DEVICE, "this process sees " + std::to_string(count) + ", numbered from 0"};
    check(cudaSetDevice(device), "choice of the GPU");
    work();
    check(cudaDeviceSynchronize(), "end of the computation");
  } catch (const Failure& failure) {
    status = failure.status;
    text = failure.message;
  } catch (const std::exception& error) {
    status = CRYORED_CUDA_COMPUTATION;
    text = error.what();
  }
  if (message != nullptr && message_size > 0) {
    std::strncpy(message, text.c_str(), message_size - 1);
    message[message_size - 1] = '\0';
  }
  return status;
}

}  // namespace cryored::cuda
