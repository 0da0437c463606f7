#pragma once
// What core/cuda uses of cuFFT, by FFTW. In place, both pad rows of real numbers to 2 (nx / 2 + 1).

#include <fftw3.h>

#include <map>

#include "cuda_runtime.h"

using cufftComplex = float2;
using cufftDoubleComplex = double2;
using cufftHandle = int;

enum cufftResult { CUFFT_SUCCESS, CUFFT_INVALID_PLAN, CUFFT_ALLOC_FAILED, CUFFT_INVALID_TYPE, CUFFT_INVALID_VALUE };
enum cufftType { CUFFT_C2R, CUFFT_Z2D, CUFFT_D2Z };

namespace cuda_on_cpu {

struct Transform {
  int rank, n[3];
  cufftType type;
};
inline std::map<cufftHandle, Transform>& transforms() {
  static std::map<cufftHandle, Transform> all;
  return all;
}

inline cufftResult plan(cufftHandle* handle, const Transform& transform) {
  static int last = 0;
  transforms()[*handle = ++last] = transform;
  return CUFFT_SUCCESS;
}

/// Runs what `make` plans, if `handle` is a plan of this type and both arrays are the device's.
template <typename Make, typename Execute, typename Destroy>
cufftResult execute(cufftHandle handle, cufftType type, const void* in, const void* out, Make make, Execute run,
                    Destroy destroy) {
  const auto found = transforms().find(handle);
  if (found == transforms().end()) return CUFFT_INVALID_PLAN;
  if (found->second.type != type) return CUFFT_INVALID_TYPE;
  if (!on_device(in) || !on_device(out)) return CUFFT_INVALID_VALUE;
  const auto made = make(found->second.rank, found->second.n);  // FFTW_ESTIMATE leaves the arrays as they are
  if (made == nullptr) return CUFFT_ALLOC_FAILED;
  run(made);
  destroy(made);
  return CUFFT_SUCCESS;
}

}  // namespace cuda_on_cpu

inline cufftResult cufftPlan2d(cufftHandle* handle, int nx, int ny, cufftType type) {
  return cuda_on_cpu::plan(handle, {2, {nx, ny, 1}, type});
}
inline cufftResult cufftPlan3d(cufftHandle* handle, int nx, int ny, int nz, cufftType type) {
  return cuda_on_cpu::plan(handle, {3, {nx, ny, nz}, type});
}
inline cufftResult cufftDestroy(cufftHandle handle) {
  return cuda_on_cpu::transforms().erase(handle) == 1 ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN;
}

inline cufftResult cufftExecC2R(cufftHandle handle, cufftComplex* in, float* out) {
  return cuda_on_cpu::execute(
      handle, CUFFT_C2R, in, out,
      [&](int rank, const int* n) {
        return fftwf_plan_dft_c2r(rank, n, reinterpret_cast<fftwf_complex*>(in), out, FFTW_ESTIMATE);
      },
      fftwf_execute, fftwf_destroy_plan);
}
inline cufftResult cufftExecZ2D(cufftHandle handle, cufftDoubleComplex* in, double* out) {
  return cuda_on_cpu::execute(
      handle, CUFFT_Z2D, in, out,
      [&](int rank, const int* n) {
        return fftw_plan_dft_c2r(rank, n, reinterpret_cast<fftw_complex*>(in), out, FFTW_ESTIMATE);
      },
      fftw_execute, fftw_destroy_plan);
}
inline cufftResult cufftExecD2Z(cufftHandle handle, double* in, cufftDoubleComplex* out) {
  return cuda_on_cpu::execute(
      handle, CUFFT_D2Z, in, out,
      [&](int rank, const int* n) {
        return fftw_plan_dft_r2c(rank, n, in, reinterpret_cast<fftw_complex*>(out), FFTW_ESTIMATE);
      },
      fftw_execute, fftw_destroy_plan);
}
