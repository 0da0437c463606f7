// V to the map and back. The padded box is never held: only the columns of the ball are transformed
// along z, only the planes of the crop along y, only its rows along x.

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/fourier/fft.hpp"
#include "core/reconstruct/gpu.hpp"
#include "core/reconstruct/gridding_kernels.hpp"
#include "core/reconstruct/pipeline.hpp"

namespace cryored {
namespace {

using batch::Plan;

/// Geometry shared by both directions. In 2D the only plane runs along z (which is ky): y has one point.
struct Pruned {
  const HalfBall& ball;
  const batch::Kernels<float>& kernels = batch::kernels<float>();
  int box, padded, box_y, padded_y, corner, lanes = kernels.lanes;
  Plan<float> plan{padded}, plan_y{padded_y};
  std::vector<std::size_t> row_start;  ///< by ky index on the padded y axis: first column, or size_t(-1)
  std::vector<int> row_count;
  std::size_t column_stride;    ///< columns, rounded up to whole lanes
  AlignedVector<float> planes;  ///< [box][re | im][column_stride]
  AlignedVector<float> buffers;
  std::size_t buffer = 0;

  Pruned(const ReconstructRequest& request, const HalfBall& half_ball)
      : ball(half_ball),
        box(request.box),
        padded(even(request.padded_box())),
        box_y(half_ball.dimensionality == 2 ? 1 : box),
        padded_y(half_ball.dimensionality == 2 ? 1 : padded),
        corner(padded / 2 - box / 2),
        row_start(static_cast<std::size_t>(padded_y), static_cast<std::size_t>(-1)),
        row_count(static_cast<std::size_t>(padded_y), 0) {
    for (std::size_t i = 0; i < ball.columns.size(); ++i) {
      const auto y = static_cast<std::size_t>(wrap(ball.columns[i].ky, padded_y));
      if (row_count[y]++ == 0) row_start[y] = i;
    }
    const auto l = static_cast<std::size_t>(lanes);
    column_stride = (ball.columns.size() + l - 1) / l * l;
    planes.resize(static_cast<std::size_t>(box) * 2 * column_stride);
    buffer = plan.buffer_size(lanes) * 3 + static_cast<std::size_t>(box_y) * 2 * row_size();
    buffer = (buffer + 15) / 16 * 16;
    buffers.resize(buffer * static_cast<std::size_t>(workers(ball)));
  }

  static int even(int n) { return n + n % 2; }
  static int wrap(int k, int n) { return k < 0 ? k + n : k; }
  std::size_t row_size() const {
    return static_cast<std::size_t>((ball.radius + lanes - 1) / lanes) * static_cast<std::size_t>(lanes);
  }
  float* work_area() { return buffers.data() + buffer * static_cast<std::size_t>(omp_get_thread_num()); }
  int corner_y() const { return padded_y == 1 ? 0 : corner; }
  float* plane(int z) { return planes.data() + static_cast<std::size_t>(z) * 2 * column_stride; }
};

std::size_t at(long element, int lanes, long lane) { return static_cast<std::size_t>(2 * element * lanes + lane); }

/// One plane's V(kx, ky) to box x box_y real values.
void plane_to_map(Pruned& g, int z, Map& map) {
  const int lanes = g.lanes, radius = g.ball.radius;
  const std::size_t row = g.row_size(), size = g.plan.buffer_size(lanes);
  float *a = g.work_area(), *b = a + size, *work = b + size, *rows = work + size;
  const float* re = g.plane(z);
  const float* im = re + g.column_stride;
  for (int kx = 0; kx < radius; kx += lanes) {
    std::fill(a, a + at(g.padded_y, lanes, 0), 0.0f);
    for (int y = 0; y < g.padded_y; ++y) {
      const int count = std::min(lanes, g.row_count[static_cast<std::size_t>(y)] - kx);
      for (int l = 0; l < count; ++l) {
        const std::size_t column = g.row_start[static_cast<std::size_t>(y)] + static_cast<std::size_t>(kx + l);
        a[at(y, lanes, l)] = re[column];
        a[at(y, lanes, lanes + l)] = im[column];
      }
    }
    const float* c = g.kernels.transform(g.plan_y.view(), a, b, work, true);
    for (int y = 0; y < g.box_y; ++y)
      for (int l = 0; l < lanes; ++l) {
        rows[static_cast<std::size_t>(2 * y) * row + static_cast<std::size_t>(kx + l)] =
            c[at(y + g.corner_y(), lanes, l)];
        rows[static_cast<std::size_t>(2 * y + 1) * row + static_cast<std::size_t>(kx + l)] =
            c[at(y + g.corner_y(), lanes, lanes + l)];
      }
  }
  for (int y0 = 0; y0 < g.box_y; y0 += 2 * lanes) {
    // Two rows share one complex transform: the first `lanes` in its real part, the next in its imaginary part.
    std::fill(a, a + at(g.padded, lanes, 0), 0.0f);
    for (int l = 0; l < 2 * lanes && y0 + l < g.box_y; ++l) {
      const float* row_re = rows + static_cast<std::size_t>(2 * (y0 + l)) * row;
      const float* row_im = row_re + row;
      const long lane = l % lanes;
      const bool second = l >= lanes;
      for (int kx = 0; kx < radius; ++kx) {
        const float vr = row_re[kx], vi = kx == 0 ? 0 : row_im[kx];
        a[at(kx, lanes, lane)] += second ? -vi : vr;
        a[at(kx, lanes, lanes + lane)] += second ? vr : vi;
        if (kx == 0) continue;
        a[at(g.padded - kx, lanes, lane)] += second ? vi : vr;
        a[at(g.padded - kx, lanes, lanes + lane)] += second ? vr : -vi;
      }
    }
    const float* c = g.kernels.transform(g.plan.view(), a, b, work, true);
    for (int l = 0; l < 2 * lanes && y0 + l < g.box_y; ++l) {
      float* out = map.data.data() + (static_cast<std::size_t>(z) * static_cast<std::size_t>(g.box_y) +
                                      static_cast<std::size_t>(y0 + l)) *
                                         static_cast<std::size_t>(g.box);
      for (int x = 0; x < g.box; ++x) out[x] = c[at(x + g.corner, lanes, l)];
    }
  }
}

/// The opposite of plane_to_map: sums without any scale.
void map_to_plane(Pruned& g, int z, const Map& map) {
  const int lanes = g.lanes, radius = g.ball.radius;
  const std::size_t row = g.row_size(), size = g.plan.buffer_size(lanes);
  float *a = g.work_area(), *b = a + size, *work = b + size, *rows = work + size;
  for (int y0 = 0; y0 < g.box_y; y0 += 2 * lanes) {
    std::fill(a, a + at(g.padded, lanes, 0), 0.0f);
    for (int l = 0; l < 2 * lanes && y0 + l < g.box_y; ++l) {
      const float* in = map.data.data() + (static_cast<std::size_t>(z) * static_cast<std::size_t>(g.box_y) +
                                           static_cast<std::size_t>(y0 + l)) *
                                              static_cast<std::size_t>(g.box);
      for (int x = 0; x < g.box; ++x) a[at(x + g.corner, lanes, l)] = in[x];
    }
    const float* c = g.kernels.transform(g.plan.view(), a, b, work, false);
    for (int l = 0; l < 2 * lanes && y0 + l < g.box_y; ++l) {
      float* row_re = rows + static_cast<std::size_t>(2 * (y0 + l)) * row;
      float* row_im = row_re + row;
      const long lane = l % lanes;
      for (int kx = 0; kx < static_cast<int>(row); ++kx) {
        const int other = kx == 0 ? 0 : g.padded - kx;
        const bool inside = kx < radius;
        const float xr = inside ? c[at(kx, lanes, lane)] : 0, xi = inside ? c[at(kx, lanes, lanes + lane)] : 0;
        const float yr = inside ? c[at(other, lanes, lane)] : 0, yi = inside ? c[at(other, lanes, lanes + lane)] : 0;
        row_re[kx] = l < lanes ? (xr + yr) / 2 : (xi + yi) / 2;
        row_im[kx] = l < lanes ? (xi - yi) / 2 : (yr - xr) / 2;
      }
    }
  }
  float* re = g.plane(z);
  float* im = re + g.column_stride;
  for (int kx = 0; kx < radius; kx += lanes) {
    std::fill(a, a + at(g.padded_y, lanes, 0), 0.0f);
    for (int y = 0; y < g.box_y; ++y)
      for (int l = 0; l < lanes; ++l) {
        a[at(y + g.corner_y(), lanes, l)] =
            rows[static_cast<std::size_t>(2 * y) * row + static_cast<std::size_t>(kx + l)];
        a[at(y + g.corner_y(), lanes, lanes + l)] =
            rows[static_cast<std::size_t>(2 * y + 1) * row + static_cast<std::size_t>(kx + l)];
      }
    const float* c = g.kernels.transform(g.plan_y.view(), a, b, work, false);
    for (int y = 0; y < g.padded_y; ++y) {
      const int count = std::min(lanes, g.row_count[static_cast<std::size_t>(y)] - kx);
      for (int l = 0; l < count; ++l) {
        const std::size_t column = g.row_start[static_cast<std::size_t>(y)] + static_cast<std::size_t>(kx + l);
        re[column] = c[at(y, lanes, l)];
        im[column] = c[at(y, lanes, lanes + l)];
      }
    }
  }
}

/// (-1)^(kx + ky + kz): the shift of the origin between voxel 0 and P/2.
float centre_sign(int kx, int ky, int kz) { return (kx + ky + kz) % 2 == 0 ? 1.0f : -1.0f; }

/// Calls f(voxel, squared distance from N/2) over the map, plane by plane in parallel; sums what f returns.
template <typename F>
double over_voxels(Map& map, F f) {
  const long nz = static_cast<long>(map.nz), ny = static_cast<long>(map.ny), nx = static_cast<long>(map.nx);
  std::vector<double> sums(static_cast<std::size_t>(nz));
#pragma omp parallel for schedule(static) num_threads(map.size() < 500000 ? 1 : threads())
  for (long z = 0; z < nz; ++z) {
    double sum = 0;
    for (long y = 0; y < ny; ++y) {
      const long dz = nz == 1 ? 0 : z - nz / 2, dy = y - ny / 2;
      float* row = map.data.data() + (z * ny + y) * nx;
      for (long x = 0; x < nx; ++x) {
        const long dx = x - nx / 2;
        sum += f(row[x], static_cast<std::size_t>(dx * dx + dy * dy + dz * dz));
      }
    }
    sums[static_cast<std::size_t>(z)] = sum;
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

/// f(distance) for every squared distance of a voxel from N/2.
template <typename F>
std::vector<double> by_squared_distance(const Map& map, F f) {
  const std::size_t half = map.nx / 2, count = (map.nz == 1 ? 2 : 3) * half * half + 1;
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = f(std::sqrt(static_cast<double>(i)));
  return values;
}

/// Share of the background at a distance from the centre: 0 inside N/2, raised cosine over 3 voxels.
double background_share(double distance, double radius) {
  constexpr double width = 3;
  if (distance < radius) return 0;
  if (distance > radius + width) return 1;
  return 0.5 + 0.5 * std::cos(std::numbers::pi * (radius + width - distance) / width);
}

/// Inverse transform, centred, cropped and scaled; on the CPU.
Map inverse(const ReconstructRequest& request, const HalfBall& ball, const BallSpectrum& spectrum, double scale) {
  Pruned g(request, ball);
  const int lanes = g.lanes;
  const long columns = static_cast<long>(ball.columns.size());
#pragma omp parallel num_threads(workers(ball))
  {
    const std::size_t size = g.plan.buffer_size(lanes);
    float *a = g.work_area(), *b = a + size, *work = b + size;
#pragma omp for schedule(dynamic, 8)
    for (long first = 0; first < columns; first += lanes) {
      std::fill(a, a + at(g.padded, lanes, 0), 0.0f);
      for (long l = 0; l < lanes && first + l < columns; ++l) {
        const auto& column = ball.columns[static_cast<std::size_t>(first + l)];
        for (int kz = -column.reach; kz <= column.reach; ++kz) {
          const auto value = spectrum[column.offset + static_cast<std::size_t>(column.reach + kz)] *
                             (static_cast<float>(scale) * centre_sign(column.kx, column.ky, kz));
          a[at(Pruned::wrap(kz, g.padded), lanes, l)] = value.real();
          a[at(Pruned::wrap(kz, g.padded), lanes, lanes + l)] = value.imag();
        }
      }
      const float* c = g.kernels.transform(g.plan.view(), a, b, work, true);
      for (int z = 0; z < g.box; ++z) {
        const float* value = c + at(z + g.corner, lanes, 0);
        std::copy(value, value + lanes, g.plane(z) + first);
        std::copy(value + lanes, value + 2 * lanes, g.plane(z) + g.column_stride + first);
      }
    }
  }
  const auto n = static_cast<std::size_t>(g.box);
  Map map(n, static_cast<std::size_t>(g.box_y), n);
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers(ball))
  for (int z = 0; z < g.box; ++z) plane_to_map(g, z, map);
  if (ball.dimensionality == 2) std::swap(map.ny, map.nz);
  return map;
}

}  // namespace

double sinc_squared(double distance, double extent) {
  const double t = std::numbers::pi * distance / extent;
  const double s = t > 0 ? std::sin(t) / t : 1;
  return s * s;
}

Map finish(const ReconstructRequest& request, const HalfBall& ball, const BallSpectrum& spectrum,
           const ReconstructOptions& options) {
  const double scale = 1 / (padding_volume(request) * (request.dimensionality == 3 ? request.box : 1));
  Map map = options.gpu
                ? gpu::inverse(*options.gpu, ball, spectrum, Pruned::even(request.padded_box()), request.box, scale)
                : inverse(request, ball, spectrum, scale);

  const double radius = request.box / 2.0, extent = request.padding * request.box;
  const auto outside = by_squared_distance(map, [=](double r) { return background_share(r, radius); });
  const auto inverse_sinc = by_squared_distance(map, [=](double r) { return 1 / sinc_squared(r, extent); });
  const double share = over_voxels(map, [&](float&, std::size_t r2) { return outside[r2]; });
  const double mean =
      over_voxels(map, [&](float& v, std::size_t r2) { return outside[r2] * static_cast<double>(v); }) / share;
  over_voxels(map, [&](float& v, std::size_t r2) {
    v = static_cast<float>((static_cast<double>(v) + outside[r2] * (mean - static_cast<double>(v))) * inverse_sinc[r2]);
    return 0.0;
  });
  return map;
}

void undo_sinc_division(Map& map, double padding) {
  const double extent = padding * static_cast<double>(map.nx);
  const auto sinc = by_squared_distance(map, [=](double r) { return sinc_squared(r, extent); });
  over_voxels(map, [&](float& v, std::size_t r2) {
    v = static_cast<float>(static_cast<double>(v) * sinc[r2]);
    return 0.0;
  });
}

BallSpectrum spectrum_of(const ReconstructRequest& request, const HalfBall& ball, const Map& map) {
  Map corrected = map;
  undo_sinc_division(corrected, request.padding);
  Pruned g(request, ball);
  const int lanes = g.lanes;
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers(ball))
  for (int z = 0; z < g.box; ++z) map_to_plane(g, z, corrected);

  const long columns = static_cast<long>(ball.columns.size());
  const double scale = padding_volume(request) * (request.dimensionality == 3 ? request.box : 1) /
                       std::pow(g.padded, request.dimensionality);
  BallSpectrum spectrum(ball.size);
#pragma omp parallel num_threads(workers(ball))
  {
    const std::size_t size = g.plan.buffer_size(lanes);
    float *a = g.work_area(), *b = a + size, *work = b + size;
#pragma omp for schedule(dynamic, 8)
    for (long first = 0; first < columns; first += lanes) {
      std::fill(a, a + at(g.padded, lanes, 0), 0.0f);
      for (int z = 0; z < g.box; ++z) {
        float* value = a + at(z + g.corner, lanes, 0);
        std::copy(g.plane(z) + first, g.plane(z) + first + lanes, value);
        std::copy(g.plane(z) + g.column_stride + first, g.plane(z) + g.column_stride + first + lanes, value + lanes);
      }
      const float* c = g.kernels.transform(g.plan.view(), a, b, work, false);
      for (long l = 0; l < lanes && first + l < columns; ++l) {
        const auto& column = ball.columns[static_cast<std::size_t>(first + l)];
        for (int kz = -column.reach; kz <= column.reach; ++kz) {
          const int z = Pruned::wrap(kz, g.padded);
          spectrum[column.offset + static_cast<std::size_t>(column.reach + kz)] =
              std::complex<float>(c[at(z, lanes, l)], c[at(z, lanes, lanes + l)]) *
              (static_cast<float>(scale) * centre_sign(column.kx, column.ky, kz));
        }
      }
    }
  }
  return spectrum;
}

}  // namespace cryored
