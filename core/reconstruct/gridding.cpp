#include "core/reconstruct/gridding.hpp"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/checkpoint.hpp"
#include "core/fourier/fft.hpp"
#include "core/reconstruct/gridding_kernels.hpp"

namespace cryored {
namespace {

/// Above this product of rms(n W) and rms(1 / (n W)), single precision's error in C would reach 1e-5.
constexpr double widest_range = 50;

/// Transform of the Kaiser-Bessel blob of order 0 in 3D, up to a constant: I_{3/2}(s) / s^{3/2} below
/// the turning point, J_{3/2} beyond, s^2 = |alpha^2 - (2 pi a w)^2| (Lewitt 1990, eq. A3).
double blob_transform(double w) {
  constexpr double radius = 3.8, alpha = 15;
  const double t = 2 * std::numbers::pi * radius * w;
  const double s = std::sqrt(std::abs(alpha * alpha - t * t));
  if (s < 1e-4) return 1.0 / 3;  // both branches, times sqrt(pi / 2)
  return t > alpha ? (std::sin(s) / s - std::cos(s)) / (s * s) : (std::cosh(s) - std::sinh(s) / s) / (s * s);
}

/// Index of a cell in rows of `length`.
std::size_t cell(int row, int length, int column) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(length) + static_cast<std::size_t>(column);
}

/// Everything about the grid that does not depend on the precision.
struct Grid3 {
  int m, my, chunks, planes;
  bool skewed;
  std::vector<batch::Group> groups;
  std::vector<int> group_at, rows, square, partner;
  std::vector<double> beta;
  std::size_t group_values = 0;

  Grid3(const HalfBall& ball, double extent) : beta(blob_table(extent)) {
    const int radius = ball.radius;
    m = 2 * (radius + 1) + 1;
    my = ball.dimensionality == 2 ? 1 : m;
    chunks = (radius + batch::group_width - 1) / batch::group_width;
    const int h = (m - 1) / 2, limit = static_cast<int>(beta.size()) - 1;
    skewed = h < std::sqrt(static_cast<double>(limit)) && h * h < limit;
    for (int i = 0; i < m; ++i) {
      const int coordinate = i < h ? i : i - m;
      square.push_back(skewed ? coordinate * coordinate : std::min(i, m - i) * std::min(i, m - i));
    }
    for (int i = 0; i < m; ++i) partner.push_back(square[static_cast<std::size_t>((m - i) % m)]);
    for (int z = 0; z <= h && z * z < limit; ++z) {
      int y = 0;
      while (y < h && (y + 1) * (y + 1) + z * z < limit) ++y;
      rows.push_back(y);
    }
    planes = static_cast<int>(rows.size());
    group_at.assign(static_cast<std::size_t>(my) * static_cast<std::size_t>(chunks), -1);
    for (const auto& column : ball.columns) {
      const int ky = column.ky < 0 ? column.ky + m : column.ky, chunk = column.kx / batch::group_width;
      int& index = group_at[cell(ky, chunks, chunk)];
      if (index < 0) {  // the first column of a group reaches farthest
        index = static_cast<int>(groups.size());
        groups.push_back({ky, chunk * batch::group_width, column.reach, group_values});
        group_values += static_cast<std::size_t>(2 * column.reach + 1) * batch::group_width;
      }
    }
  }

  /// Of kz = -reach of a column in the groups.
  std::size_t offset_of(const HalfBall::Column& column) const {
    const int ky = column.ky < 0 ? column.ky + m : column.ky, chunk = column.kx / batch::group_width;
    const auto& group = groups[static_cast<std::size_t>(group_at[cell(ky, chunks, chunk)])];
    return group.offset +
           static_cast<std::size_t>((group.reach - column.reach) * batch::group_width + column.kx - group.kx);
  }
};

/// n and W in groups.
template <typename Real>
struct Weights {
  AlignedVector<Real> w, n;
};

template <typename Real>
AlignedVector<Real> grouped_weights(const HalfBall& ball, const Grid3& grid, const ColumnWeights& weights) {
  AlignedVector<Real> result(grid.group_values);
  std::fill(result.begin(), result.end(), Real(0));
  const long count = static_cast<long>(ball.columns.size()), stride = 2L * ball.radius + 1;
#pragma omp parallel num_threads(workers(ball))
  {
    std::vector<double> values(static_cast<std::size_t>(stride) * batch::group_width);
#pragma omp for schedule(dynamic, 4)
    for (long first = 0; first < count; first += batch::group_width) {
      const long block = std::min<long>(batch::group_width, count - first);
      weights(&ball.columns[static_cast<std::size_t>(first)], static_cast<int>(block), values.data(), stride);
      for (long i = 0; i < block; ++i) {
        const auto& column = ball.columns[static_cast<std::size_t>(first + i)];
        Real* out = result.data() + grid.offset_of(column);
        for (long k = 0; k <= 2L * column.reach; ++k)
          out[k * batch::group_width] = static_cast<Real>(values[static_cast<std::size_t>(i * stride + k)]);
      }
    }
  }
  return result;
}

template <typename Real>
BallWeights from_groups(const HalfBall& ball, const Grid3& grid, const AlignedVector<Real>& n) {
  BallWeights result(ball.size);
  const long count = static_cast<long>(ball.columns.size());
#pragma omp parallel for schedule(static, 256) num_threads(workers(ball))
  for (long i = 0; i < count; ++i) {
    const auto& column = ball.columns[static_cast<std::size_t>(i)];
    const Real* in = n.data() + grid.offset_of(column);
    for (long k = 0; k <= 2L * column.reach; ++k)
      result[column.offset + static_cast<std::size_t>(k)] =
          static_cast<float>(std::min(in[k * batch::group_width], Real(1e30)));
  }
  return result;
}

/// The rounds in one precision: plans, planes, work buffers, and the odd part of a skewed beta.
template <typename Real>
class Rounds {
 public:
  Rounds(const Grid3& grid, const HalfBall& ball, Weights<Real>& weights)
      : grid_(grid), team_(workers(ball)), plan_(grid.m), plan_y_(grid.my), beta_(grid.beta.begin(), grid.beta.end()) {
    view_.m = grid.m, view_.my = grid.my, view_.radius = ball.radius;
    view_.planes = grid.planes, view_.chunks = grid.chunks;
    view_.groups = grid.groups.data(), view_.group_at = grid.group_at.data(), view_.rows = grid.rows.data();
    view_.plan_z = plan_.view(), view_.plan_y = plan_y_.view();
    view_.weight = weights.w.data(), view_.n = weights.n.data();
    view_.plane_stride = grid.groups.size() * 2 * batch::group_width;
    planes_.resize(view_.plane_stride * static_cast<std::size_t>(grid.planes));
    view_.planes_data = planes_.data();
    view_.beta = beta_.data(), view_.limit = static_cast<int>(beta_.size()) - 1;
    view_.square = grid.square.data(), view_.partner = grid.partner.data();
    view_.norm = static_cast<Real>(1.0 / (static_cast<double>(grid.m) * grid.m * grid.my));
    view_.skewed = grid.skewed;
    buffer_ = (kernels_.buffer_size(grid.m, grid.my, grid.chunks) + 15) / 16 * 16;
    buffers_.resize(buffer_ * static_cast<std::size_t>(team_));
    if (grid.skewed) prepare_edges();
  }

  void columns(bool first, bool last) {
    const int count = static_cast<int>(grid_.groups.size());
#pragma omp parallel num_threads(team_)
    {
      Real* buffers = buffer();
#pragma omp for schedule(dynamic, 8)
      for (int i = 0; i < count; ++i) kernels_.columns(view_, i, first, last, buffers);
    }
  }

  void convolve() {
#pragma omp parallel num_threads(team_)
    {
      Real* buffers = buffer();
#pragma omp for schedule(dynamic, 1)
      for (int z = 0; z < grid_.planes; ++z) kernels_.plane(view_, z, buffers);
    }
    if (grid_.skewed) transform_edges();
  }

 private:
  Real* buffer();
  void prepare_edges();
  void transform_edges();
  /// out[k row][k column < width], real then imaginary: sum of in[row][column] exp(+2 pi i ...).
  void transform_edge(const batch::Plan<Real>& rows, const batch::Plan<Real>& columns, const AlignedVector<Real>& in,
                      AlignedVector<Real>& out, int width);

  const Grid3& grid_;
  const int team_;
  const batch::Kernels<Real>& kernels_ = batch::kernels<Real>();
  batch::Plan<Real> plan_, plan_y_;
  std::vector<Real> beta_;
  batch::GridView<Real> view_{};
  AlignedVector<Real> planes_, buffers_, edge_x_, edge_y_, edge_z_, odd_x_, odd_y_, odd_z_, phase_;
  std::size_t buffer_ = 0;
};

template <typename Real>
Real* Rounds<Real>::buffer() {
  return buffers_.data() + buffer_ * static_cast<std::size_t>(omp_get_thread_num());
}

template <typename Real>
void Rounds<Real>::prepare_edges() {
  const std::size_t m = static_cast<std::size_t>(grid_.m), my = static_cast<std::size_t>(grid_.my);
  const std::size_t width = static_cast<std::size_t>(batch::group_width) * static_cast<std::size_t>(grid_.chunks);
  edge_x_.assign(m * my, 0), edge_y_.assign(m * m, 0), edge_z_.assign(my * m, 0);
  odd_x_.assign(2 * m * my, 0), odd_y_.assign(2 * m * width, 0), odd_z_.assign(2 * my * width, 0);
  const std::size_t phases = (std::max(m, width) + 31) / 32 * 32;  // the imaginary parts begin aligned, too
  view_.phase_count = static_cast<int>(phases);
  phase_.resize(2 * phases);
  const std::size_t h = (m - 1) / 2;
  for (std::size_t k = 0; k < phase_.size() / 2; ++k) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(k * h % m) / static_cast<double>(m);
    phase_[k] = static_cast<Real>(std::cos(angle));
    phase_[phase_.size() / 2 + k] = static_cast<Real>(std::sin(angle));
  }
  view_.edge_x = edge_x_.data(), view_.edge_y = edge_y_.data(), view_.edge_z = edge_z_.data();
  view_.odd_x = odd_x_.data(), view_.odd_y = odd_y_.data(), view_.odd_z = odd_z_.data();
  view_.phase = phase_.data();
}

template <typename Real>
void Rounds<Real>::transform_edges() {
  const int m = grid_.m, my = grid_.my, h = (m - 1) / 2, width = batch::group_width * grid_.chunks;
  const auto odd = [&](int x, int y, int z) {
    const auto& square = grid_.square;
    const auto& partner = grid_.partner;
    const auto i = [](int index) { return static_cast<std::size_t>(index); };
    const int here = square[i(x)] + (my == 1 ? 0 : square[i(y)]) + square[i(z)];
    const int there = partner[i(x)] + (my == 1 ? 0 : partner[i(y)]) + partner[i(z)];
    return static_cast<Real>(
        (grid_.beta[i(std::min(here, view_.limit))] - grid_.beta[i(std::min(there, view_.limit))]) / 2);
  };
  const auto on_edge = [&](int i) { return i == h || i == h + 1; };
  // Each point of the three planes belongs to one of them: z first, then y, then x.
  for (int y = 0; y < my; ++y)
    for (int x = 0; x < m; ++x) edge_z_[cell(y, m, x)] *= odd(x, y, h);
  for (int z = 0; z < m; ++z) {
    for (int x = 0; x < m; ++x) edge_y_[cell(z, m, x)] *= on_edge(z) || my == 1 ? Real(0) : odd(x, h, z);
    for (int y = 0; y < my; ++y)
      edge_x_[cell(z, my, y)] *= on_edge(z) || (my > 1 && on_edge(y)) ? Real(0) : odd(h, y, z);
  }
  transform_edge(plan_y_, plan_, edge_z_, odd_z_, width);
  if (my > 1) transform_edge(plan_, plan_, edge_y_, odd_y_, width);
  transform_edge(plan_, plan_y_, edge_x_, odd_x_, my);
}

template <typename Real>
void Rounds<Real>::transform_edge(const batch::Plan<Real>& rows, const batch::Plan<Real>& columns,
                                  const AlignedVector<Real>& in, AlignedVector<Real>& out, int width) {
  const int nr = rows.length(), nc = columns.length(), lanes = kernels_.lanes, used = std::min(width, nc);
  const std::size_t size = (static_cast<std::size_t>(grid_.m) + 2) * 2 * static_cast<std::size_t>(lanes);
  std::vector<Real> half(2 * static_cast<std::size_t>(nr) * static_cast<std::size_t>(used));
#pragma omp parallel num_threads(team_)
  {
    Real *a = buffer(), *b = a + size, *work = b + size;
#pragma omp for schedule(static)
    for (int row = 0; row < nr; row += lanes) {
      const int count = std::min(lanes, nr - row);
      std::fill(a, a + cell(nc, 2 * lanes, 0), Real(0));
      for (int c = 0; c < nc; ++c)
        for (int l = 0; l < count; ++l) a[cell(c, 2 * lanes, l)] = in[cell(row + l, nc, c)];
      const Real* t = kernels_.transform(columns.view(), a, b, work, true);
      for (int c = 0; c < used; ++c)
        for (int l = 0; l < count; ++l) {
          half[2 * cell(row + l, used, c)] = t[cell(c, 2 * lanes, l)];
          half[2 * cell(row + l, used, c) + 1] = t[cell(c, 2 * lanes, lanes + l)];
        }
    }
#pragma omp for schedule(static)
    for (int column = 0; column < used; column += lanes) {
      const int count = std::min(lanes, used - column);
      std::fill(a, a + cell(nr, 2 * lanes, 0), Real(0));
      for (int r = 0; r < nr; ++r)
        for (int l = 0; l < count; ++l) {
          a[cell(r, 2 * lanes, l)] = half[2 * cell(r, used, column + l)];
          a[cell(r, 2 * lanes, lanes + l)] = half[2 * cell(r, used, column + l) + 1];
        }
      const Real* t = kernels_.transform(rows.view(), a, b, work, true);
      for (int r = 0; r < nr; ++r)
        for (int l = 0; l < count; ++l) {
          out[cell(r, width, column + l)] = t[cell(r, 2 * lanes, l)];
          out[cell(nr + r, width, column + l)] = t[cell(r, 2 * lanes, lanes + l)];
        }
    }
  }
}

/// rms(n W) * rms(1 / (n W)) over W > 0.
template <typename Real>
double range_of(const Weights<Real>& weights, int team) {
  double sum = 0, inverse = 0;
  long used = 0;
  const long count = static_cast<long>(weights.n.size());
#pragma omp parallel for schedule(static) reduction(+ : sum, inverse, used) num_threads(team)
  for (long i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double x = static_cast<double>(weights.n[at]) * static_cast<double>(weights.w[at]);
    if (x > 0) sum += x * x, inverse += 1 / (x * x), ++used;
  }
  return used > 0 ? std::sqrt(sum) * std::sqrt(inverse) / static_cast<double>(used) : 0;
}

}  // namespace

std::vector<double> blob_table(double extent) {
  const double centre = blob_transform(0);
  std::vector<double> table;
  for (int r2 = 0;; ++r2) {
    const int step = static_cast<int>(std::sqrt(static_cast<double>(r2)) / extent / (0.5 / 10000));
    table.push_back(step < 10000 ? blob_transform(step * (0.5 / 10000)) / centre : 0);
    if (step >= 10000) return table;
  }
}

BallWeights gridding_weights(const HalfBall& ball, const ColumnWeights& weights, double extent, int rounds,
                             GriddingStatistics* statistics) {
  const Grid3 grid(ball, extent);
  const int team = workers(ball);
  if (statistics) *statistics = {rounds, 0};
  Weights<float> single;
  single.w = grouped_weights<float>(ball, grid, weights);
  single.n.assign(grid.group_values, 1.0f);

  int done = 0;
  // Not a range where a sum has left single precision.
  if (rounds > 0 && !(range_of(single, team) <= widest_range)) {
    single = {};
    Weights<double> exact;
    exact.w = grouped_weights<double>(ball, grid, weights);
    exact.n.assign(grid.group_values, 1.0);
    {
      Rounds<double> pass(grid, ball, exact);
      do {
        checkpoint();
        pass.columns(true, false);
        pass.convolve();
        pass.columns(false, true);
        ++done;
      } while (done < rounds && !(range_of(exact, team) <= widest_range));
    }
    if (statistics) statistics->double_rounds = done;
    if (done == rounds) {
      exact.w = {};
      return from_groups(ball, grid, exact.n);
    }
    single.n.resize(grid.group_values);
    std::transform(exact.n.begin(), exact.n.end(), single.n.begin(),
                   [](double n) { return static_cast<float>(std::min(n, 1e30)); });
    exact = {};
    single.w = grouped_weights<float>(ball, grid, weights);
  }
  {
    Rounds<float> pass(grid, ball, single);
    if (done < rounds) pass.columns(true, false);
    for (; done < rounds; ++done) {
      checkpoint();
      pass.convolve();
      pass.columns(false, done + 1 == rounds);
    }
  }
  single.w = {};
  return from_groups(ball, grid, single.n);
}

}  // namespace cryored
