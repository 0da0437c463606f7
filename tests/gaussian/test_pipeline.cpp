// V to the map and back, against sums written out.

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

#include "core/reconstruct/pipeline.hpp"

namespace cryored {
namespace {

ReconstructRequest request_of(int box, double padding, int current, int dimensions) {
  ReconstructRequest request;
  request.box = box;
  request.padding = padding;
  request.current_size = current;
  request.dimensionality = dimensions;
  request.tau2_fudge = 2;
  request.tau2.assign(static_cast<std::size_t>(box / 2) + 1, 0.25);
  request.fsc = request.tau2;
  return request;
}

/// Random V with Friedel symmetry on kx = 0.
BallSpectrum random_spectrum(const HalfBall& ball) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  BallSpectrum v(ball.size);
  for (const auto& column : ball.columns)
    for (int kz = -column.reach; kz <= column.reach; ++kz) {
      const std::size_t i = column.offset + static_cast<std::size_t>(column.reach + kz);
      v[i] = {normal(random), normal(random)};
      if (column.kx > 0) continue;
      for (const auto& other : ball.columns)
        if (other.kx == 0 && other.ky == -column.ky) {
          const std::size_t j = other.offset + static_cast<std::size_t>(other.reach - kz);
          v[j] = i == j ? std::complex<float>(v[i].real(), 0) : std::conj(v[i]);
        }
    }
  return v;
}

struct Case {
  const char* name;
  int box;
  double padding;
  int current, dimensions;
};
class Finish : public testing::TestWithParam<Case> {};

/// Section 3 of the contract, one voxel at a time.
TEST_P(Finish, EqualsTheSumsWrittenOut) {
  const Case& c = GetParam();
  const auto request = request_of(c.box, c.padding, c.current, c.dimensions);
  const HalfBall ball(cut_radius(request), c.dimensions);
  const BallSpectrum v = random_spectrum(ball);
  const Map map = finish(request, ball, v);
  const int n = c.box, nz = c.dimensions == 2 ? 1 : n, p = request.padded_box() + request.padded_box() % 2;
  ASSERT_EQ(map.nx, static_cast<std::size_t>(n));
  ASSERT_EQ(map.ny, static_cast<std::size_t>(n));
  ASSERT_EQ(map.nz, static_cast<std::size_t>(nz));

  // In 2D the columns run along ky.
  const double half = n / 2.0;
  std::vector<double> raw(map.size());
  const double scale = c.dimensions == 2 ? c.padding * c.padding : std::pow(c.padding, 3) * n;
  std::size_t voxel = 0;
  for (int z = 0; z < nz; ++z)
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x, ++voxel) {
        double sum = 0;
        const int slow = c.dimensions == 2 ? y : z, middle = c.dimensions == 2 ? n / 2 : y;
        for (const auto& column : ball.columns)
          for (int kz = -column.reach; kz <= column.reach; ++kz) {
            const double angle =
                2 * std::numbers::pi / p * (column.kx * (x - half) + column.ky * (middle - half) + kz * (slow - half));
            const std::complex<double> value(v[column.offset + static_cast<std::size_t>(column.reach + kz)]);
            sum += (column.kx > 0 ? 2 : 1) * (value.real() * std::cos(angle) - value.imag() * std::sin(angle));
          }
        raw[voxel] = sum / scale;
      }
  double total = 0, weight = 0;
  std::vector<double> radius(raw.size()), share(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const std::size_t ix = i % map.nx, iy = i / map.nx % map.ny, iz = i / map.nx / map.ny;
    const double dx = static_cast<double>(ix) - half, dy = static_cast<double>(iy) - half;
    const double dz = c.dimensions == 2 ? 0 : static_cast<double>(iz) - half;
    radius[i] = std::sqrt(dx * dx + dy * dy + dz * dz);
    const double t = std::clamp((half + 3 - radius[i]) / 3, 0.0, 1.0);
    share[i] = radius[i] < half ? 0 : 0.5 + 0.5 * std::cos(std::numbers::pi * t);
    total += share[i] * raw[i];
    weight += share[i];
  }
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const double t = std::numbers::pi * radius[i] / (n * c.padding), sinc = t > 0 ? std::sin(t) / t : 1;
    const double want = ((1 - share[i]) * raw[i] + share[i] * total / weight) / (sinc * sinc);
    difference += std::pow(static_cast<double>(map.data[i]) - want, 2);
    power += want * want;
  }
  EXPECT_LT(std::sqrt(difference / power), 1e-6);
}

/// Without the mask's reach (a map that is 0 beyond N/2) finish() and spectrum_of() undo each other below the cut.
TEST_P(Finish, SpectrumOfIsItsInverse) {
  const Case& c = GetParam();
  const auto request = request_of(c.box, c.padding, c.current, c.dimensions);
  const HalfBall ball(cut_radius(request), c.dimensions);
  Map map(static_cast<std::size_t>(c.box), static_cast<std::size_t>(c.box),
          c.dimensions == 2 ? 1 : static_cast<std::size_t>(c.box));
  std::size_t i = 0;
  for (int z = 0; z < static_cast<int>(map.nz); ++z)
    for (int y = 0; y < c.box; ++y)
      for (int x = 0; x < c.box; ++x, ++i) {
        const double dx = x - c.box / 2.0 - 1.3, dy = y - c.box / 2.0 + 0.7;
        const double dz = c.dimensions == 2 ? 0 : z - c.box / 2.0 - 0.4;
        map.data[i] = static_cast<float>(std::exp(-(dx * dx + dy * dy + dz * dz) / 8));
      }
  const Map back = finish(request, ball, spectrum_of(request, ball, map));
  double difference = 0, power = 0;
  for (i = 0; i < map.size(); ++i) {
    difference += std::pow(static_cast<double>(back.data[i] - map.data[i]), 2);
    power += std::pow(static_cast<double>(map.data[i]), 2);
  }
  EXPECT_LT(std::sqrt(difference / power), 2e-3);  // what a Gaussian of sigma 2 has beyond the cut
}

INSTANTIATE_TEST_SUITE_P(Cases, Finish,
                         testing::Values(Case{"Padding1", 16, 1, 16, 3}, Case{"Padding2", 16, 2, 16, 3},
                                         Case{"SmallCut", 16, 2, 12, 3}, Case{"OddPaddedBox", 16, 1.44, 16, 3},
                                         Case{"Flat", 16, 1, 16, 2}, Case{"FlatPadding2", 32, 2, 20, 2}),
                         [](const auto& test) { return test.param.name; });

TEST(HalfBall, HoldsEachCoefficientOnce) {
  const HalfBall ball(7, 3);
  std::size_t expected = 0;
  for (int z = -7; z <= 7; ++z)
    for (int y = -7; y <= 7; ++y)
      for (int x = 0; x <= 7; ++x) expected += x * x + y * y + z * z < 49 ? 1 : 0;
  EXPECT_EQ(ball.size, expected);
  EXPECT_EQ(ball.columns.front().ky, 0);
  EXPECT_EQ(ball.columns.back().ky, -1);
}

TEST(CutRadius, FollowsPaddingCurrentSizeAndBox) {
  EXPECT_EQ(cut_radius(request_of(64, 2, 40, 3)), 40);
  EXPECT_EQ(cut_radius(request_of(64, 1, 64, 3)), 32);
  EXPECT_EQ(cut_radius(request_of(32, 1.3, 32, 3)), 21);
}

TEST(InverseTau2, CarriesPaddingAndFudgeAndKeepsZero) {
  auto request = request_of(16, 2, 16, 3);
  request.tau2[3] = 0;
  const auto inverse = inverse_tau2(request);
  EXPECT_DOUBLE_EQ(inverse[2], 1 / (8 * 2 * 0.25));
  EXPECT_EQ(inverse[3], 0);
  request.dimensionality = 2;
  EXPECT_DOUBLE_EQ(inverse_tau2(request)[2], 1 / (4 * 2 * 0.25));
}

TEST(ColumnShells, RoundTheUnpaddedRadius) {
  const auto request = request_of(16, 2, 16, 3);
  const HalfBall ball(cut_radius(request), 3);
  const auto& first = ball.columns.front();  // kx = ky = 0
  std::vector<int> shells(static_cast<std::size_t>(2 * first.reach + 1));
  column_shells(request, first, shells.data());
  EXPECT_EQ(shells[static_cast<std::size_t>(first.reach)], 0);
  EXPECT_EQ(shells[static_cast<std::size_t>(first.reach + 1)], 1);  // 0.5 rounds up
  EXPECT_EQ(shells[static_cast<std::size_t>(first.reach - 3)], 2);
  EXPECT_EQ(shells.back(), 8);
}

}  // namespace
}  // namespace cryored
