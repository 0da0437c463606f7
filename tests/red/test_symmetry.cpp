#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/symmetry.hpp"
#include "tests/red/maps.hpp"

namespace cryored {
namespace {

TEST(PointGroups, HaveTheirOrders) {
  const std::pair<const char*, std::size_t> orders[] = {{"C1", 1},  {"c7", 7},  {"D1", 2}, {"D4", 8},
                                                        {"T", 12},  {"O", 24},  {"I", 60}, {"I1", 60},
                                                        {"I2", 60}, {"i3", 60}, {"I4", 60}};
  for (const auto& [name, order] : orders) {
    const Symmetry symmetry = parse_symmetry(name);
    EXPECT_EQ(symmetry.rotations.size(), order) << name;
    for (const RotationMatrix& r : symmetry.rotations) {
      const double det =
          r[0] * (r[4] * r[8] - r[5] * r[7]) - r[1] * (r[3] * r[8] - r[5] * r[6]) + r[2] * (r[3] * r[7] - r[4] * r[6]);
      EXPECT_NEAR(det, 1, 1e-9) << name;
    }
  }
  EXPECT_TRUE(parse_symmetry("C1").trivial());
}

TEST(PointGroups, OthersAreRefused) {
  for (const char* name :
       {"", "C", "C0", "X3", "CI", "C3v", "TH", "I9", "C1,twist=3", "C1,twist=a,rise=2", "C1,twist=3,rise=0"})
    EXPECT_THROW(parse_symmetry(name), UsageError) << name;
}

TEST(Symmetrise, IsAProjectionThatKeepsSymmetricMaps) {
  for (const char* name : {"C3", "D2", "O"}) {
    const Symmetry group = parse_symmetry(name);
    const Map once = symmetrise(blobs(40, 2.5, 1), group, 1);
    const Map twice = symmetrise(once, group, 1);
    EXPECT_LT(relative_difference(twice, once, 15), 2e-3) << name;
    EXPECT_GT(relative_difference(once, blobs(40, 2.5, 1), 15), 0.3) << name;
    // The zero term: the average of turned copies has their mean.
    double before = 0, after = 0;
    for (float v : blobs(40, 2.5, 1).data) before += v;
    for (float v : once.data) after += v;
    EXPECT_NEAR(after / before, 1, 2e-3) << name;
  }
}

TEST(Symmetrise, InterpolationErrorIsTheStatedOne) {
  // Turning by a fourth of a turn needs no interpolation, by an eighth it does: the amplitude
  // lost in C8 against C4, shell by shell, on noise that C8 itself has made symmetric.
  const std::size_t n = 64;
  Map map(n, n, n);
  std::mt19937 engine(3);
  std::normal_distribution<float> normal;
  for (float& v : map.data) v = normal(engine);
  // Cut at 0.7 of the Nyquist frequency, as RELION's maps are cut at the current size.
  map = fourier_resize(fourier_resize(map, 44), n);
  const Map mask = spherical_mask(n, 22, 8);
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] *= mask.data[i];
  const Map fine = fourier_resize(map, 2 * n);  // the interpolation of this one is exact enough
  const Map expected = fourier_resize(symmetrise(fine, parse_symmetry("C8"), 1), n);
  const Map found = symmetrise(map, parse_symmetry("C8"), 1);
  const auto power = shell_power(forward(expected)), power_found = shell_power(forward(found));
  const auto agreement = fsc(found, expected);
  for (std::size_t s = 2; s <= 16; ++s) {
    EXPECT_NEAR(std::sqrt(power_found[s] / power[s]), 1, 4e-3) << "shell " << s;
    EXPECT_GT(agreement[s], 0.9999) << "shell " << s;
  }
  for (std::size_t s = 17; s <= 25; ++s) {
    EXPECT_NEAR(std::sqrt(power_found[s] / power[s]), 1, 0.04) << "shell " << s;
    EXPECT_GT(agreement[s], 0.998) << "shell " << s;
  }
}

TEST(Symmetrise, AHelixIsInvariantUnderItsStep) {
  // A density that already is a helix of 30 degrees and 2 voxels of 1.5 A.
  const std::size_t n = 48;
  const double c = static_cast<double>(n / 2), rise = 2, twist = 30 * M_PI / 180;
  Map map(n, n, n);
  map.fill(0);
  for (int k = -30; k <= 30; ++k)
    for (std::size_t z = 0; z < n; ++z)
      for (std::size_t y = 0; y < n; ++y)
        for (std::size_t x = 0; x < n; ++x) {
          const double dx = static_cast<double>(x) - c - 8 * std::cos(k * twist);
          const double dy = static_cast<double>(y) - c - 8 * std::sin(k * twist);
          const double dz = static_cast<double>(z) - c - k * rise;
          map(x, y, z) += static_cast<float>(std::exp(-(dx * dx + dy * dy + dz * dz) / 8));
        }
  EXPECT_LT(relative_difference(symmetrise(map, parse_symmetry("C1,twist=30,rise=3"), 1.5), map, 21), 3e-3);
  EXPECT_GT(relative_difference(symmetrise(map, parse_symmetry("C1,twist=-30,rise=3"), 1.5), map, 21), 0.1);
  EXPECT_THROW(symmetrise(map, parse_symmetry("C1,twist=30,rise=3"), 0), InputError);
  for (const char* endless : {"C1,twist=30,rise=1e-7", "C1,twist=30,rise=-1e-300"})
    EXPECT_THROW(symmetrise(map, parse_symmetry(endless), 1.5), InputError) << endless;
}

}  // namespace
}  // namespace cryored
