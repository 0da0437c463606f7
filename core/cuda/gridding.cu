// RELION's gridding rounds on a GPU: the formula of core/reconstruct/gridding.hpp on the full grid, in double
// precision (the rounds amplify errors where tau2 is 0 and K nearly so).

#include "core/cuda/device_memory.cuh"

namespace cryored::cuda {
namespace {

constexpr int block_size = 128;

struct Grid {
  int m, my;  ///< points along x and z; along y (1 in 2D)
  int nx;     ///< m / 2 + 1
  __host__ __device__ std::size_t index(int kx, int ky, int kz) const {
    const int y = ky < 0 ? ky + my : ky, z = kz < 0 ? kz + m : kz;
    return (static_cast<std::size_t>(z) * my + y) * nx + kx;
  }
};

/// One block per column: n W into the grid. On kx = 0 both members of a Friedel pair are stored, and half of
/// each goes to both places, as a complex-to-real transform would take them.
__global__ void scatter(const CryoredCudaColumn* columns, Grid grid, const double* weights, const double* n,
                        cufftDoubleComplex* out) {
  const CryoredCudaColumn c = columns[blockIdx.x];
  for (int i = threadIdx.x; i <= 2 * c.reach; i += blockDim.x) {
    const int kz = i - c.reach;
    const double value = weights[c.offset + i] * n[c.offset + i];
    if (c.kx > 0) {
      out[grid.index(c.kx, c.ky, kz)].x = value;
    } else {
      atomicAdd(&out[grid.index(0, c.ky, kz)].x, value / 2);
      atomicAdd(&out[grid.index(0, -c.ky, -kz)].x, value / 2);
    }
  }
}

/// Real grid times beta / M^3. RELION counts index (m - 1) / 2 as coordinate -(m + 1) / 2.
__global__ void apply_blob(Grid grid, const double* beta, int beta_count, double scale, double* data) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  if (x >= grid.m) return;
  const int y = blockIdx.y, z = blockIdx.z, h = grid.m / 2;
  const long cx = x < h ? x : x - grid.m, cz = z < h ? z : z - grid.m;
  const long cy = grid.my == 1 ? 0 : y < h ? y : y - grid.m;
  const long r2 = cx * cx + cy * cy + cz * cz;
  data[(static_cast<std::size_t>(z) * grid.my + y) * 2 * grid.nx + x] *= r2 < beta_count ? scale * beta[r2] : 0.0;
}

__global__ void update(const CryoredCudaColumn* columns, Grid grid, const cufftDoubleComplex* smoothed, double* n) {
  const CryoredCudaColumn c = columns[blockIdx.x];
  for (int i = threadIdx.x; i <= 2 * c.reach; i += blockDim.x) {
    const cufftDoubleComplex value = smoothed[grid.index(c.kx, c.ky, i - c.reach)];
    n[c.offset + i] = fmin(1e60, n[c.offset + i] / fmax(1e-6, hypot(value.x, value.y)));
  }
}

__global__ void fill(double* data, std::size_t count, double value) {
  const std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) data[i] = value;
}

__global__ void to_single(const double* in, std::size_t count, float* out) {
  const std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) out[i] = static_cast<float>(fmin(in[i], 1e30));
}

unsigned blocks_for(std::size_t count) { return static_cast<unsigned>((count + block_size - 1) / block_size); }

void gridding(const CryoredCudaBall& ball, const double* weights, const double* beta, int beta_count, int rounds,
              float* result) {
  const int m = 2 * (ball.radius + 1) + 1;
  const Grid grid{m, ball.dimensionality == 2 ? 1 : m, m / 2 + 1};
  const std::size_t points = static_cast<std::size_t>(m) * grid.my * m;
  const DeviceArray<CryoredCudaColumn> columns(ball.columns, ball.column_count);
  const DeviceArray<double> w(weights, ball.size), table(beta, static_cast<std::size_t>(beta_count));
  DeviceArray<double> n(ball.size);
  DeviceArray<cufftDoubleComplex> data(static_cast<std::size_t>(m) * grid.my * grid.nx);
  const FftPlan inverse(m, grid.my, m, CUFFT_Z2D), forward(m, grid.my, m, CUFFT_D2Z);
  auto* real = reinterpret_cast<double*>(data.get());
  const unsigned column_blocks = static_cast<unsigned>(ball.column_count);
  launch("fill", fill, blocks_for(ball.size), block_size, n.get(), ball.size, 1.0);
  for (int round = 0; round < rounds; ++round) {
    data.clear();
    launch("scatter", scatter, column_blocks, block_size, columns.get(), grid, w.get(), n.get(), data.get());
    check(cufftExecZ2D(inverse.get(), data.get(), real), "inverse transform");
    const dim3 planes(blocks_for(static_cast<std::size_t>(m)), static_cast<unsigned>(grid.my),
                      static_cast<unsigned>(m));
    launch("apply_blob", apply_blob, planes, block_size, grid, table.get(), beta_count,
           1.0 / static_cast<double>(points), real);
    check(cufftExecD2Z(forward.get(), real, data.get()), "forward transform");
    launch("update", update, column_blocks, block_size, columns.get(), grid, data.get(), n.get());
  }
  DeviceArray<float> single(ball.size);
  launch("to_single", to_single, blocks_for(ball.size), block_size, n.get(), ball.size, single.get());
  single.copy_to(result);
}

}  // namespace
}  // namespace cryored::cuda

extern "C" int cryored_cuda_abi(void) { return CRYORED_CUDA_ABI; }

extern "C" int cryored_cuda_probe(int device, char* message, size_t message_size) {
  using namespace cryored::cuda;
  return guarded(device, message, message_size, [] {
    DeviceArray<double> one(1);
    launch("first kernel", fill, 1, 1, one.get(), one.size(), 1.0);
  });
}

extern "C" int cryored_cuda_gridding(int device, const CryoredCudaBall* ball, const double* weights, const double* beta,
                                     int beta_count, int rounds, float* n, char* message, size_t message_size) {
  return cryored::cuda::guarded(device, message, message_size,
                                [&] { cryored::cuda::gridding(*ball, weights, beta, beta_count, rounds, n); });
}
