#include "simulation/potential.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

double sum(const Map& map) {
  double s = 0;
  for (const float v : map.data) s += v;
  return s;
}

// The integral of an atom's projected potential is 47.878 V A^2 times its form factor at zero angle; carbon's is the
// sum of its coefficients in International Tables C, 4.3.2.2: 2.5088 A.
TEST(Potential, IntegralOfOneAtomIsItsFormFactor) {
  Structure one;
  one.path = "made in the test";
  one.atoms.push_back({0, 0, 0, 6});
  PotentialOptions o;
  o.box = 64;
  o.pixel_size = 0.7;
  o.hydrogens = o.in_ice = false;
  EXPECT_NEAR(sum(projected_potential(one, o)) * 0.49, 47.878 * 2.5088, 0.02);
  o.hydrogens = true;  // 1.2 hydrogens of 0.5288 A
  EXPECT_NEAR(sum(projected_potential(one, o)) * 0.49, 47.878 * (2.5088 + 1.2 * 0.5288), 0.02);
  o.hydrogens = false;
  o.in_ice = true;  // less 16.44 A^3 of ice
  EXPECT_NEAR(sum(projected_potential(one, o)) * 0.49, 47.878 * 2.5088 - 16.44 * ice_inner_potential(), 0.05);
}

TEST(Potential, IceHasItsInnerPotential) { EXPECT_NEAR(ice_inner_potential(), 4.55, 0.1); }

TEST(Potential, ProjectionIsThatOfTheVolume) {
  const Structure s = test::small_structure(60, 8);
  std::mt19937_64 random(3);
  DensityOptions volume;
  volume.box = 48;
  volume.voxel = 1;
  volume.rotation = random_rotation(random);
  const Map v = potential_map(s, volume);
  PotentialOptions o;
  o.box = 48;
  o.pixel_size = 1;
  o.rotation = volume.rotation;
  o.hydrogens = o.in_ice = false;
  const Map p = projected_potential(s, o);
  double worst = 0, largest = 0;
  for (std::size_t y = 0; y < 48; ++y)
    for (std::size_t x = 0; x < 48; ++x) {
      double line = 0;
      for (std::size_t z = 0; z < 48; ++z) line += v(x, y, z);
      worst = std::max(worst, std::abs(line - p(x, y, 0)));
      largest = std::max(largest, line);
    }
  EXPECT_GT(largest, 50);
  EXPECT_LT(worst, 2e-3 * largest);  // gemmi cuts atoms off at 1e-4 of their height
}

TEST(Potential, MovesByWholePixels) {
  const Structure s = test::small_structure(60, 8);
  PotentialOptions o;
  o.box = 64;
  o.pixel_size = 1.5;
  const Map here = projected_potential(s, o);
  o.x = 3;
  o.y = -4.5;
  const Map there = projected_potential(s, o);
  for (std::size_t y = 10; y < 54; ++y)
    for (std::size_t x = 10; x < 54; ++x) ASSERT_NEAR(there(x + 2, y - 3, 0), here(x, y, 0), 1e-2);
}

TEST(Potential, AParticleBeyondTheEdgeDoesNotWrap) {
  const Structure s = test::small_structure(60, 8);
  PotentialOptions o;
  o.box = 64;
  o.pixel_size = 1;
  o.x = 100;
  for (const float v : projected_potential(s, o).data) ASSERT_EQ(v, 0);
  o.box = 7;
  EXPECT_THROW(projected_potential(s, o), UsageError);
}

TEST(Ice, PowerIsTheOneStated) {
  IceOptions o;
  constexpr std::size_t n = 128;
  constexpr double pixel = 1.2;
  const Map field = ice_layer(n, pixel, o, 5);
  EXPECT_NEAR(sum(field) / double(n * n), 0, 1e-3);
  const HalfTransform t = forward(field);
  // Power of a coefficient times the area, in a ring of many coefficients.
  for (const auto& [low, high] : {std::pair{4.0, 10.0}, {25.0, 30.0}, {40.0, 45.0}}) {
    double measured = 0, expected = 0;
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 1; x < n / 2; ++x) {
        const double k = std::hypot(double(x), double(signed_frequency(y, n)));
        if (k < low || k >= high) continue;
        measured += std::norm(t(x, y, 0)) * n * n * pixel * pixel;
        expected += ice_power(k / (n * pixel), o);
      }
    EXPECT_NEAR(measured / expected, 1, 0.2) << low;
  }
  EXPECT_EQ(ice_layer(n, pixel, o, 5).data, field.data);
  EXPECT_NE(ice_layer(n, pixel, o, 6).data, field.data);
  o.thickness = 0;
  for (const float v : ice_layer(16, 1, o, 1).data) ASSERT_EQ(v, 0);
}

TEST(Ice, MotionTakesFineDetailAway) {
  IceOptions still, moving;
  still.motion = 0;
  EXPECT_NEAR(ice_power(0.005, moving) / ice_power(0.005, still), 1, 0.01);
  EXPECT_LT(ice_power(0.27, moving), 0.15 * ice_power(0.27, still));
  EXPECT_LT(ice_power(0.05, still), 0.15 * ice_power(0.27, still) * 3);
}

}  // namespace
}  // namespace cryored
