// A stand-in for libcryored_cuda.so (core/cuda): notes each call with its device in $FAKE_CUDA_LIBRARY_LOG and
// answers with plain values. $FAKE_CUDA_LIBRARY_FAILS names a function that fails for lack of memory,
// or, with $FAKE_CUDA_LIBRARY_LOST, because the card is lost.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/cuda/cuda_api.h"

namespace {

int note(const char* function, int device, char* message, std::size_t size) {
  if (const char* path = std::getenv("FAKE_CUDA_LIBRARY_LOG"))
    if (std::FILE* log = std::fopen(path, "a")) {
      std::fprintf(log, "%s %d\n", function, device);
      std::fclose(log);
    }
  const char* failing = std::getenv("FAKE_CUDA_LIBRARY_FAILS");
  if (failing == nullptr || std::strcmp(failing, function) != 0) return CRYORED_CUDA_OK;
  const bool lost = std::getenv("FAKE_CUDA_LIBRARY_LOST") != nullptr;
  std::snprintf(message, size, lost ? "the card is lost" : "out of memory");
  return lost ? CRYORED_CUDA_FAILURE : CRYORED_CUDA_MEMORY;
}

}  // namespace

extern "C" {

int cryored_cuda_abi(void) { return CRYORED_CUDA_ABI; }

int cryored_cuda_probe(int device, char* message, size_t size) { return note("probe", device, message, size); }

int cryored_cuda_gridding(int device, const CryoredCudaBall* ball, const double* weights, const double*, int, int,
                          float* n, char* message, size_t size) {
  for (std::size_t i = 0; i < ball->size; ++i) n[i] = weights[i] > 0 ? static_cast<float>(1 / weights[i]) : 0.0f;
  return note("gridding", device, message, size);
}

int cryored_cuda_inverse(int device, const CryoredCudaBall* ball, const float*, int, int box, float, float* map,
                         char* message, size_t size) {
  const auto n = static_cast<std::size_t>(box);
  std::fill_n(map, ball->dimensionality == 2 ? n * n : n * n * n, 7.0f);
  return note("inverse", device, message, size);
}
}
