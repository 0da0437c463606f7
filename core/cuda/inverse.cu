// V to the cropped real map on a GPU; the mask and sinc^2 that follow are the CPU's (core/reconstruct/finish.cpp).

#include "core/cuda/device_memory.cuh"

namespace cryored::cuda {
namespace {

constexpr int block_size = 128;

/// One block per column. On kx = 0 half of each Friedel pair's members goes to both places.
__global__ void place(const CryoredCudaColumn* columns, const float2* spectrum, int padded, int padded_y, float scale,
                      cufftComplex* out) {
  const CryoredCudaColumn c = columns[blockIdx.x];
  const int nx = padded / 2 + 1;
  const auto at = [=](int ky, int kz) {
    const int y = ky < 0 ? ky + padded_y : ky, z = kz < 0 ? kz + padded : kz;
    return (static_cast<std::size_t>(z) * padded_y + y) * nx + c.kx;
  };
  for (int i = threadIdx.x; i <= 2 * c.reach; i += blockDim.x) {
    const int kz = i - c.reach;
    const float sign = (c.kx + c.ky + kz) % 2 == 0 ? scale : -scale;
    const float2 v = spectrum[c.offset + i];
    if (c.kx > 0) {
      out[at(c.ky, kz)] = make_float2(v.x * sign, v.y * sign);
    } else {
      cufftComplex& here = out[at(c.ky, kz)];
      cufftComplex& there = out[at(-c.ky, -kz)];
      atomicAdd(&here.x, v.x * sign / 2);
      atomicAdd(&here.y, v.y * sign / 2);
      atomicAdd(&there.x, v.x * sign / 2);
      atomicAdd(&there.y, -v.y * sign / 2);
    }
  }
}

__global__ void crop(const float* padded_map, int padded, int padded_y, int box, int box_y, float* map) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  if (x >= box) return;
  const int y = blockIdx.y, z = blockIdx.z, corner = padded / 2 - box / 2, corner_y = padded_y == 1 ? 0 : corner;
  const std::size_t row = static_cast<std::size_t>(z + corner) * padded_y + y + corner_y;
  map[(static_cast<std::size_t>(z) * box_y + y) * box + x] = padded_map[row * 2 * (padded / 2 + 1) + x + corner];
}

void inverse(const CryoredCudaBall& ball, const float* spectrum, int padded, int box, float scale, float* map) {
  const int padded_y = ball.dimensionality == 2 ? 1 : padded, box_y = ball.dimensionality == 2 ? 1 : box;
  const DeviceArray<CryoredCudaColumn> columns(ball.columns, ball.column_count);
  const DeviceArray<float2> values(reinterpret_cast<const float2*>(spectrum), ball.size);
  DeviceArray<cufftComplex> data(static_cast<std::size_t>(padded) * padded_y * (padded / 2 + 1));
  DeviceArray<float> cropped(static_cast<std::size_t>(box) * box_y * box);
  data.clear();
  launch("place", place, static_cast<unsigned>(ball.column_count), block_size, columns.get(), values.get(), padded,
         padded_y, scale, data.get());
  const FftPlan plan(padded, padded_y, padded, CUFFT_C2R);
  auto* real = reinterpret_cast<float*>(data.get());
  check(cufftExecC2R(plan.get(), data.get(), real), "inverse transform");
  const dim3 rows(static_cast<unsigned>((box + block_size - 1) / block_size), static_cast<unsigned>(box_y),
                  static_cast<unsigned>(box));
  launch("crop", crop, rows, block_size, real, padded, padded_y, box, box_y, cropped.get());
  cropped.copy_to(map);
}

}  // namespace
}  // namespace cryored::cuda

extern "C" int cryored_cuda_inverse(int device, const CryoredCudaBall* ball, const float* spectrum, int padded, int box,
                                    float scale, float* map, char* message, size_t message_size) {
  return cryored::cuda::guarded(device, message, message_size,
                                [&] { cryored::cuda::inverse(*ball, spectrum, padded, box, scale, map); });
}
