#include "core/fourier/fft.hpp"

#include <fftw3.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>

#include "core/base/error.hpp"
#include "core/fourier/fft_planner.hpp"

namespace cryored {
namespace {

std::atomic<int> requested_threads{0};
thread_local int threads_here = 0;

int machine_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int count = std::atoi(text);
    if (count > 0) return count;
  }
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return std::max(1, CPU_COUNT(&mask));
  return std::max(1u, std::thread::hardware_concurrency());
}

/// Thread start costs more than a small transform.
int threads_for(std::size_t voxels) { return voxels < 32768 ? 1 : threads(); }

// A 3D transform is done as 2D ones of the planes and 1D ones along z, which are copied
// through a small buffer: FFTW's own unmeasured 3D plans are five times slower at 256^3
// (strides of a power of two), and measuring costs seconds at every start of a program.
constexpr std::size_t columns = 16;  // of complex<float>: two cache lines

void plan_threads(int count) {
  static const int initialised = fftwf_init_threads();
  fftwf_plan_with_nthreads(initialised ? count : 1);
}

enum class Kind { plane_forward, plane_inverse, columns_forward, columns_inverse };

/// Plans live as long as the process. FFTW_ESTIMATE does not touch the arrays, so the
/// first caller's stand in for every later one; only their alignment matters.
fftwf_plan plan_for(Kind kind, std::size_t nx, std::size_t ny, int count, float* real, std::complex<float>* half,
                    bool aligned) {
  using Key = std::tuple<Kind, std::size_t, std::size_t, int, bool>;
  // Never destroyed: other threads and static objects may still transform at exit, and a
  // destroyed cache would leave its plans as leaks.
  static auto& cache = *new std::map<Key, fftwf_plan>;
  std::lock_guard<std::mutex> lock(fft_planner_mutex());
  const Key key{kind, nx, ny, count, aligned};
  const auto found = cache.find(key);
  if (found != cache.end()) return found->second;
  plan_threads(count);
  const unsigned flags = FFTW_ESTIMATE | (aligned ? 0u : FFTW_UNALIGNED);
  const int x = static_cast<int>(nx), y = static_cast<int>(ny), step = static_cast<int>(columns);
  auto* complex_data = reinterpret_cast<fftwf_complex*>(half);
  fftwf_plan plan = nullptr;
  if (kind == Kind::plane_forward)
    plan = fftwf_plan_dft_r2c_2d(y, x, real, complex_data, flags | FFTW_PRESERVE_INPUT);
  else if (kind == Kind::plane_inverse)
    plan = fftwf_plan_dft_c2r_2d(y, x, complex_data, real, flags | FFTW_DESTROY_INPUT);
  else
    plan = fftwf_plan_many_dft(1, &x, step, complex_data, nullptr, step, 1, complex_data, nullptr, step, 1,
                               kind == Kind::columns_forward ? FFTW_FORWARD : FFTW_BACKWARD, flags);
  if (plan == nullptr)
    throw SystemError(Problem{"Fourier transform", "size", std::to_string(nx) + " x " + std::to_string(ny),
                              "lengths of at least 1 that fit into memory", "check the box size of the map"});
  cache.emplace(key, plan);
  return plan;
}

/// 1D transforms along z of the whole array, in place, times `scale`; the planes before z0 and from z1 on count as
/// zero, whatever they hold.
void transform_columns(HalfTransform& half, Kind kind, float scale, std::size_t z0, std::size_t z1) {
  using Complex = std::complex<float>;
  const std::size_t plane = half.nx * half.ny, nz = half.nz;
  const std::size_t blocks = (plane + columns - 1) / columns;
  // Made outside the threads, since it may throw; the buffers are aligned like the array.
  fftwf_plan plan = plan_for(kind, nz, 1, 1, nullptr, half.data.data(), true);
#pragma omp parallel num_threads(threads_for(half.size()))
  {
    std::vector<Complex, AlignedAllocator<Complex>> buffer(columns * nz);
#pragma omp for schedule(static)
    for (std::size_t block = 0; block < blocks; ++block) {
      const std::size_t start = block * columns, width = std::min(columns, plane - start);
      Complex* const data = half.data.data() + start;
      std::fill_n(buffer.begin(), z0 * columns, Complex(0));
      std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(z1 * columns), buffer.end(), Complex(0));
      for (std::size_t z = z0; z < z1; ++z) std::copy_n(data + z * plane, width, &buffer[z * columns]);
      if (width < columns)
        for (std::size_t z = z0; z < z1; ++z) std::fill_n(&buffer[z * columns + width], columns - width, Complex(0));
      fftwf_execute_dft(plan, reinterpret_cast<fftwf_complex*>(buffer.data()),
                        reinterpret_cast<fftwf_complex*>(buffer.data()));
      for (std::size_t z = 0; z < nz; ++z)
        for (std::size_t x = 0; x < width; ++x) data[z * plane + x] = scale * buffer[z * columns + x];
    }
  }
}

/// 2D transforms of all planes; a single plane is shared out by FFTW itself.
void transform_planes(float* real, HalfTransform& half, std::size_t nx, bool to_half) {
  const std::size_t ny = half.ny, nz = half.nz;
  const bool aligned = nz == 1 || (nx * ny % 4 == 0 && half.nx * ny % 2 == 0);
  const int inner = nz == 1 ? threads_for(nx * ny) : 1;
  const Kind kind = to_half ? Kind::plane_forward : Kind::plane_inverse;
  fftwf_plan plan = plan_for(kind, nx, ny, inner, real, half.data.data(), aligned);
#pragma omp parallel for num_threads(nz == 1 ? 1 : threads_for(half.size())) schedule(static)
  for (std::size_t z = 0; z < nz; ++z) {
    float* const values = real + z * nx * ny;
    auto* const transformed = reinterpret_cast<fftwf_complex*>(half.data.data() + z * half.nx * ny);
    if (to_half)
      fftwf_execute_dft_r2c(plan, values, transformed);
    else
      fftwf_execute_dft_c2r(plan, transformed, values);
  }
}

void check_half(const HalfTransform& transform, std::size_t nx) {
  if (transform.nx == nx / 2 + 1 && transform.size() != 0) return;
  throw Error(Problem{"inverse Fourier transform", "x length", std::to_string(nx),
                      "a length of " + std::to_string(2 * (transform.nx - 1)) + " or one more for this half transform",
                      "pass the x length of the real map that the transform was made of"});
}

}  // namespace

std::mutex& fft_planner_mutex() {
  static std::mutex mutex;
  return mutex;
}

void plan_one_thread() { plan_threads(1); }

void set_threads(int count) { requested_threads = count > 0 ? count : 0; }

ThreadsHere::ThreadsHere(int count) : before_(threads_here) { threads_here = count > 0 ? count : 0; }
ThreadsHere::~ThreadsHere() { threads_here = before_; }

int threads() {
  if (threads_here > 0) return threads_here;
  const int requested = requested_threads;
  if (requested > 0) return requested;
  static const int machine = machine_threads();
  return machine;
}

HalfTransform forward(const Map& map) {
  if (map.size() == 0) throw Error(Problem{"Fourier transform", "size", "an empty map", "at least one voxel", ""});
  HalfTransform result(map.nx / 2 + 1, map.ny, map.nz);
  // The plan preserves its input, so that const is kept.
  transform_planes(const_cast<float*>(map.data.data()), result, map.nx, true);
  const float scale = static_cast<float>(1.0 / static_cast<double>(map.size()));
  if (map.nz > 1)
    transform_columns(result, Kind::columns_forward, scale, 0, map.nz);
  else
    for (auto& value : result.data) value *= scale;
  return result;
}

HalfTransform forward_padded(const Map& map, std::size_t size) {
  if (map.size() == 0 || std::max({map.nx, map.ny, map.nz}) > size)
    throw Error(Problem{"Fourier transform", "size", std::to_string(size), "a cube that holds the map", ""});
  HalfTransform result(size / 2 + 1, size, size);
  const std::size_t plane = result.nx * size;
  const std::size_t x0 = size / 2 - map.nx / 2, y0 = size / 2 - map.ny / 2, z0 = size / 2 - map.nz / 2;
  Map any(size, size, 1);
  // With the alignment of transform_planes(), for the same plan and the same last digits.
  const bool aligned = size * size % 4 == 0 && plane % 2 == 0;
  fftwf_plan plan = plan_for(Kind::plane_forward, size, size, 1, any.data.data(), result.data.data(), aligned);
#pragma omp parallel num_threads(threads_for(result.size()))
  {
    Map section(size, size, 1);
    section.fill(0);
#pragma omp for schedule(dynamic)
    for (std::size_t z = 0; z < map.nz; ++z) {
      std::complex<float>* const out = result.data.data() + (z0 + z) * plane;
      for (std::size_t y = 0; y < map.ny; ++y)
        std::copy_n(&map.data[(z * map.ny + y) * map.nx], map.nx, &section(x0, y0 + y, 0));
      fftwf_execute_dft_r2c(plan, section.data.data(), reinterpret_cast<fftwf_complex*>(out));
    }
  }
  const auto scale = static_cast<float>(1.0 / static_cast<double>(size * size * size));
  transform_columns(result, Kind::columns_forward, scale, z0, z0 + map.nz);
  return result;
}

Map inverse(HalfTransform&& transform, std::size_t nx) {
  check_half(transform, nx);
  Map result(nx, transform.ny, transform.nz);
  if (transform.nz > 1) transform_columns(transform, Kind::columns_inverse, 1.0f, 0, transform.nz);
  transform_planes(result.data.data(), transform, nx, false);
  transform = HalfTransform();
  return result;
}

Map inverse(const HalfTransform& transform, std::size_t nx) {
  HalfTransform scratch = transform;  // the transform to real data destroys its input
  return inverse(std::move(scratch), nx);
}

void centre(HalfTransform& transform) {
  const std::size_t rows = transform.ny * transform.nz;
#pragma omp parallel for num_threads(threads_for(transform.size())) schedule(static)
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t first = (row % transform.ny + row / transform.ny + 1) & 1;
    std::complex<float>* values = transform.data.data() + row * transform.nx;
    for (std::size_t x = first; x < transform.nx; x += 2) values[x] = -values[x];
  }
}

}  // namespace cryored
