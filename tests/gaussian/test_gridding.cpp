// The fast rounds against the same formula written out on the full grid in double precision.

#include <fftw3.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <random>

#include "core/fourier/fft.hpp"
#include "core/reconstruct/gridding.hpp"

namespace cryored {
namespace {

/// W by wrapped index on the M^3 (M^2) grid, Friedel symmetric; 0 outside the ball.
struct FullGrid {
  int m, my, radius;
  std::vector<double> w;

  FullGrid(int r, int dimensions) : m(2 * (r + 1) + 1), my(dimensions == 2 ? 1 : m), radius(r) {
    w.assign(static_cast<std::size_t>(m) * static_cast<std::size_t>(my) * static_cast<std::size_t>(m), 0);
  }
  std::size_t at(int kx, int ky, int kz) const {
    const auto wrap = [](int k, int n) { return static_cast<std::size_t>((k % n + n) % n); };
    return (wrap(kz, m) * static_cast<std::size_t>(my) + wrap(ky, my)) * static_cast<std::size_t>(m) + wrap(kx, m);
  }
};

/// RELION's rounds as gridding.hpp states them, complex and full-size throughout.
std::vector<double> reference_rounds(const FullGrid& grid, double extent, int rounds) {
  const std::vector<double> table = blob_table(extent);
  const int m = grid.m, my = grid.my, h = m / 2;
  const auto coordinate = [&](int i, int n) { return n == 1 ? 0 : i < h ? i : i - n; };
  std::vector<std::complex<double>> data(grid.w.size());
  auto* raw = reinterpret_cast<fftw_complex*>(data.data());
  fftw_plan inverse = fftw_plan_dft_3d(m, my, m, raw, raw, FFTW_BACKWARD, FFTW_ESTIMATE);
  fftw_plan forward = fftw_plan_dft_3d(m, my, m, raw, raw, FFTW_FORWARD, FFTW_ESTIMATE);
  std::vector<double> n(grid.w.size(), 1);
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = n[i] * grid.w[i];
    fftw_execute(inverse);
    std::size_t i = 0;
    for (int z = 0; z < m; ++z)
      for (int y = 0; y < my; ++y)
        for (int x = 0; x < m; ++x, ++i) {
          const int cx = coordinate(x, m), cy = coordinate(y, my), cz = coordinate(z, m);
          const int squared = cx * cx + cy * cy + cz * cz;
          const auto r2 = static_cast<std::size_t>(squared);
          data[i] *= r2 < table.size() ? table[r2] : 0.0;
        }
    fftw_execute(forward);
    for (i = 0; i < data.size(); ++i) n[i] /= std::max(1e-6, std::abs(data[i]) / static_cast<double>(data.size()));
  }
  fftw_destroy_plan(inverse);
  fftw_destroy_plan(forward);
  return n;
}

struct Case {
  const char* name;
  int radius, dimensions;
  double extent;  ///< N p
  double spread;  ///< W spans exp(+- spread)
};

class Gridding : public testing::TestWithParam<Case> {};

TEST_P(Gridding, EqualsTheFormulaOnTheFullGrid) {
  const Case& c = GetParam();
  FullGrid grid(c.radius, c.dimensions);
  const HalfBall ball(c.radius, c.dimensions);
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform(-c.spread, c.spread);
  std::vector<double> values(ball.size);
  for (const auto& column : ball.columns)
    for (int kz = -column.reach; kz <= column.reach; ++kz) {
      const std::size_t index = column.offset + static_cast<std::size_t>(column.reach + kz);
      double& here = grid.w[grid.at(column.kx, column.ky, kz)];
      if (here == 0)
        here = grid.w[grid.at(-column.kx, -column.ky, -kz)] = static_cast<float>(std::exp(uniform(random)));
      values[index] = here;
    }
  const auto weights = [&](const HalfBall::Column* columns, int count, double* out, long stride) {
    for (int i = 0; i < count; ++i)
      std::copy_n(values.data() + columns[i].offset, 2 * columns[i].reach + 1, out + i * stride);
  };
  GriddingStatistics statistics;
  const BallWeights n = gridding_weights(ball, weights, c.extent, 10, &statistics);
  const std::vector<double> expected = reference_rounds(grid, c.extent, 10);
  double worst = 0;
  for (const auto& column : ball.columns)
    for (int kz = -column.reach; kz <= column.reach; ++kz) {
      const double want = expected[grid.at(column.kx, column.ky, kz)];
      const double got = static_cast<double>(n[column.offset + static_cast<std::size_t>(column.reach + kz)]);
      worst = std::max(worst, std::abs(got - want) / want);
    }
  EXPECT_LT(worst, 2e-5);
  EXPECT_EQ(statistics.rounds, 10);
  EXPECT_EQ(statistics.double_rounds > 0, c.spread > 5);
}

INSTANTIATE_TEST_SUITE_P(Cases, Gridding,
                         testing::Values(Case{"FullSize3D", 16, 3, 32, 1}, Case{"FullSize3DWide", 16, 3, 32, 6},
                                         Case{"OddBeta3D", 9, 3, 32, 1}, Case{"OddBeta3DWide", 12, 3, 48, 6},
                                         Case{"TwoGroupsAlongX", 35, 3, 70, 1}, Case{"TwoGroupsOddBeta", 34, 3, 96, 1},
                                         Case{"FullSize2D", 24, 2, 48, 1}, Case{"OddBeta2D", 10, 2, 64, 1},
                                         Case{"OddBeta2DWide", 17, 2, 64, 6}, Case{"NonIntegerExtent", 21, 3, 41.6, 1},
                                         Case{"OneCoefficient", 1, 3, 32, 1}, Case{"Smallest", 2, 3, 32, 1}),
                         [](const auto& test) { return test.param.name; });

TEST(GriddingThreads, ResultDoesNotDependOnTheirNumber) {
  const HalfBall ball(40, 3);
  const auto weights = [](const HalfBall::Column* columns, int count, double* out, long stride) {
    for (int i = 0; i < count; ++i)
      for (int j = 0; j <= 2 * columns[i].reach; ++j)
        out[i * stride + j] = 2 + std::sin(columns[i].kx + 2 * columns[i].ky + 3 * std::abs(j - columns[i].reach));
  };
  const int before = threads();
  set_threads(1);
  const BallWeights one = gridding_weights(ball, weights, 80, 3);
  set_threads(3);
  const BallWeights three = gridding_weights(ball, weights, 80, 3);
  set_threads(before);
  EXPECT_TRUE(one == three);
}

TEST(BlobTable, StartsAtOneAndFallsToZeroPastHalf) {
  const std::vector<double> table = blob_table(32);
  EXPECT_DOUBLE_EQ(table[0], 1);
  EXPECT_EQ(table.size(), 257u);  // r^2 = 16^2 is the first at half the extent
  EXPECT_EQ(table.back(), 0);
  EXPECT_NEAR(table[255], 0.0071, 2e-4);
  for (std::size_t i = 1; i < table.size(); ++i) EXPECT_LE(table[i], table[i - 1]);
}

}  // namespace
}  // namespace cryored
