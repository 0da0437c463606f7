#pragma once
// What core/cuda uses of the CUDA runtime, on the CPU: kernels run thread by thread. For tests of the kernels'
// arithmetic and indices where no GPU is. Stricter than a GPU: "device" memory begins as NaN, kernels and copies refuse
// pointers of the wrong side, and threads run in the reverse of the order that one would expect. What it cannot show:
// speed, races within a block, the driver.

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__

enum cudaError_t {
  cudaSuccess,
  cudaErrorInvalidValue,
  cudaErrorMemoryAllocation,
  cudaErrorInitializationError,
  cudaErrorInsufficientDriver,
  cudaErrorDevicesUnavailable,
  cudaErrorNoDevice,
  cudaErrorInvalidDevice,
  cudaErrorInvalidKernelImage,
  cudaErrorNoKernelImageForDevice,
  cudaErrorUnsupportedPtxVersion,
  cudaErrorSystemNotReady,
  cudaErrorSystemDriverMismatch,
  cudaErrorCompatNotSupportedOnDevice,
  cudaErrorInvalidConfiguration,
  cudaErrorIllegalAddress
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned nx = 1, unsigned ny = 1, unsigned nz = 1) : x(nx), y(ny), z(nz) {}
};
inline thread_local dim3 blockIdx, blockDim, threadIdx;

struct float2 {
  float x, y;
};
struct double2 {
  double x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

template <typename T>
T atomicAdd(T* where, T value) {
  return std::exchange(*where, *where + value);
}

namespace cuda_on_cpu {

/// Blocks of "device" memory by address, with their sizes. For one thread of the program at a time.
inline std::map<const char*, std::size_t>& allocations() {
  static std::map<const char*, std::size_t> all;
  return all;
}

inline bool on_device(const void* pointer, std::size_t bytes = 1) {
  const char* first = static_cast<const char*>(pointer);
  auto after = allocations().upper_bound(first);
  if (after == allocations().begin()) return false;
  const auto& [begin, size] = *--after;
  return first + bytes <= begin + size;
}

template <typename T>
bool may_be_passed(const T& argument) {
  if constexpr (std::is_pointer_v<T>)
    return on_device(argument);
  else
    return true;
}

template <typename... Parameters, std::size_t... I>
cudaError_t run(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, void** pointers, std::index_sequence<I...>) {
  const auto call = [&] { kernel(*static_cast<std::remove_reference_t<Parameters>*>(pointers[I])...); };
  if (!(may_be_passed(*static_cast<Parameters*>(pointers[I])) && ...)) return cudaErrorIllegalAddress;
  // The limits of a GPU.
  if (threads.x == 0 || threads.x > 1024 || blocks.x == 0 || blocks.y == 0 || blocks.y > 65535 || blocks.z == 0 ||
      blocks.z > 65535)
    return cudaErrorInvalidConfiguration;
  blockDim = threads;
  for (unsigned z = blocks.z; z-- > 0;)
    for (unsigned y = blocks.y; y-- > 0;)
      for (unsigned x = blocks.x; x-- > 0;)
        for (unsigned thread = threads.x; thread-- > 0;) {
          blockIdx = dim3(x, y, z);
          threadIdx = dim3(thread, 0, 0);
          call();
        }
  return cudaSuccess;
}

}  // namespace cuda_on_cpu

template <typename... Parameters>
cudaError_t cudaLaunchKernel(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, void** arguments) {
  return cuda_on_cpu::run(kernel, blocks, threads, arguments, std::index_sequence_for<Parameters...>());
}

template <typename T>
cudaError_t cudaMalloc(T** out, std::size_t bytes) {
  if (bytes == 0) return cudaErrorInvalidValue;
  char* block = static_cast<char*>(std::malloc(bytes));
  if (block == nullptr) return cudaErrorMemoryAllocation;
  std::memset(block, 0xff, bytes);
  cuda_on_cpu::allocations()[block] = bytes;
  *out = reinterpret_cast<T*>(block);
  return cudaSuccess;
}

inline cudaError_t cudaFree(void* block) {
  if (block != nullptr && cuda_on_cpu::allocations().erase(static_cast<char*>(block)) == 0)
    return cudaErrorInvalidValue;
  std::free(block);
  return cudaSuccess;
}

inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const bool in = kind == cudaMemcpyHostToDevice;
  const void* device = in ? to : from;
  if (!cuda_on_cpu::on_device(device, bytes) || cuda_on_cpu::on_device(in ? from : to)) return cudaErrorInvalidValue;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}

inline cudaError_t cudaMemset(void* block, int value, std::size_t bytes) {
  if (!cuda_on_cpu::on_device(block, bytes)) return cudaErrorInvalidValue;
  std::memset(block, value, bytes);
  return cudaSuccess;
}

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorIllegalAddress ? "a kernel was given memory that is not the GPU's" : "refused";
}
