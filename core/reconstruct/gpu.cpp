#include "core/reconstruct/gpu.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>

#include "core/base/device_failure.hpp"
#include "core/base/error.hpp"
#include "core/cuda/cuda_api.h"

namespace cryored::gpu {
namespace {

struct Library {
  decltype(&cryored_cuda_abi) abi;
  decltype(&cryored_cuda_probe) probe;
  decltype(&cryored_cuda_gridding) gridding;
  decltype(&cryored_cuda_inverse) inverse;
};

template <typename Function>
void find(void* handle, const char* name, Function& function, const std::string& path) {
  void* symbol = dlsym(handle, name);
  if (symbol == nullptr)
    throw SystemError(Problem{path, "function", std::string(name) + " is missing", "the library of this version",
                              "build or install again, so that the program and its CUDA library match"});
  function = reinterpret_cast<Function>(symbol);
}

Library load(const std::string& path) {
  if (path.empty())
    throw SystemError(Problem{"libcryored_cuda.so", "CUDA library", "none beside this program",
                              "a build with CUDA (CRYORED_CUDA=ON) for --device cuda",
                              "build where nvcc is installed, or use --device cpu"});
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    throw SystemError(Problem{path, "CUDA library", reason ? reason : "cannot be loaded",
                              "a library whose own libraries (libcufft.so.12) are found",
                              "install cuFFT of CUDA 13, add its folder to LD_LIBRARY_PATH, or use --device cpu"});
  }
  Library library{};
  find(handle, "cryored_cuda_abi", library.abi, path);
  if (library.abi() != CRYORED_CUDA_ABI)
    throw SystemError(Problem{path, "interface version", std::to_string(library.abi()),
                              std::to_string(CRYORED_CUDA_ABI),
                              "build or install again, so that the program and its CUDA library match"});
  find(handle, "cryored_cuda_probe", library.probe, path);
  find(handle, "cryored_cuda_gridding", library.gridding, path);
  find(handle, "cryored_cuda_inverse", library.inverse, path);
  return library;
}

/// Loaded once per path; a failure is tried anew at the next call.
const Library& library() {
  static std::mutex mutex;
  static std::map<std::string, Library> loaded;
  const std::lock_guard lock(mutex);
  const std::string path = library_path();
  const auto found = loaded.find(path);
  return found != loaded.end() ? found->second : loaded.emplace(path, load(path)).first->second;
}

void check(int status, int device, const std::array<char, 512>& message) {
  if (status == CRYORED_CUDA_OK) return;
  Problem problem{"GPU " + std::to_string(device), "", message.data(), "", ""};
  switch (status) {
    case CRYORED_CUDA_NO_DEVICE:
      problem.allowed = "a GPU that this process sees";
      problem.remedy =
          "check nvidia-smi (another process may hold the GPU alone) and CUDA_VISIBLE_DEVICES, name another GPU, or "
          "use --device cpu";
      break;
    case CRYORED_CUDA_DRIVER:
      problem.allowed = "a working NVIDIA driver for CUDA 13";
      problem.remedy = "install or update the NVIDIA driver (nvidia-smi shows its version), or use --device cpu";
      break;
    case CRYORED_CUDA_MEMORY:
      problem.allowed = "free GPU memory for the padded box";
      problem.remedy = "end other programs on this GPU, name another GPU, use a smaller padding, or --device cpu";
      throw DeviceMemoryError(problem);
    case CRYORED_CUDA_ARCHITECTURE:
      problem.allowed = "a GPU architecture that this build holds code for";
      problem.remedy = "build with -DCMAKE_CUDA_ARCHITECTURES=native on this machine, or use --device cpu";
      break;
    case CRYORED_CUDA_COMPUTATION:
      problem.allowed = "a computation without failure";
      problem.remedy = "end other programs on this GPU, or use --device cpu";
      break;
    default:
      problem.allowed = "a computation without failure";
      problem.remedy = "look for GPU errors in the system log (dmesg), or use --device cpu";
      throw DeviceFailure(problem);
  }
  throw SystemError(problem);
}

std::vector<CryoredCudaColumn> columns_of(const HalfBall& ball) {
  std::vector<CryoredCudaColumn> columns;
  columns.reserve(ball.columns.size());
  for (const auto& c : ball.columns) columns.push_back({c.kx, c.ky, c.reach, c.offset});
  return columns;
}

CryoredCudaBall view_of(const HalfBall& ball, const std::vector<CryoredCudaColumn>& columns) {
  return {ball.radius, ball.dimensionality, columns.size(), ball.size, columns.data()};
}

}  // namespace

std::string library_path() {
  if (const char* named = std::getenv("CRYORED_CUDA_LIBRARY")) return named;
  std::error_code error;
  // Not canonical(): a program that was replaced while it runs has no such file any more, but its folder has.
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const auto folder = program.parent_path();
  for (const auto& candidate :
       {folder.parent_path() / "lib" / "cryored" / "libcryored_cuda.so", folder / "libcryored_cuda.so"})
    if (std::filesystem::exists(candidate, error)) return candidate.string();
  return {};
}

void require(int device) {
  std::array<char, 512> message{};
  check(library().probe(device, message.data(), message.size()), device, message);
}

BallWeights gridding_weights(int device, const HalfBall& ball, const ColumnWeights& weights, double extent,
                             int rounds) {
  const auto columns = columns_of(ball);
  const CryoredCudaBall view = view_of(ball, columns);
  AlignedVector<double> w(ball.size);
  const long length = 2L * ball.radius + 1, count = static_cast<long>(ball.columns.size());
#pragma omp parallel num_threads(workers(ball))
  {
    std::vector<double> values(static_cast<std::size_t>(32 * length));
#pragma omp for schedule(dynamic, 4)
    for (long first = 0; first < count; first += 32) {
      const int block = static_cast<int>(std::min(32L, count - first));
      const auto* some = ball.columns.data() + first;
      weights(some, block, values.data(), length);
      for (int i = 0; i < block; ++i)
        std::copy_n(values.data() + i * length, 2 * some[i].reach + 1, w.data() + some[i].offset);
    }
  }
  const std::vector<double> beta = blob_table(extent);
  BallWeights n(ball.size);
  std::array<char, 512> message{};
  check(library().gridding(device, &view, w.data(), beta.data(), static_cast<int>(beta.size()), rounds, n.data(),
                           message.data(), message.size()),
        device, message);
  return n;
}

Map inverse(int device, const HalfBall& ball, const BallSpectrum& spectrum, int padded, int box, double scale) {
  const auto columns = columns_of(ball);
  const CryoredCudaBall view = view_of(ball, columns);
  const auto n = static_cast<std::size_t>(box);
  Map map(n, n, ball.dimensionality == 2 ? 1 : n);
  std::array<char, 512> message{};
  check(library().inverse(device, &view, reinterpret_cast<const float*>(spectrum.data()), padded, box,
                          static_cast<float>(scale), map.data.data(), message.data(), message.size()),
        device, message);
  return map;
}

}  // namespace cryored::gpu
