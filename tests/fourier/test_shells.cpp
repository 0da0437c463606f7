#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

Map noise(std::size_t n, unsigned seed, double sd = 1) {
  Map map(n, n, n);
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal(0, sd);
  for (float& v : map.data) v = static_cast<float>(normal(engine));
  return map;
}

/// Blobs at given offsets (A) from the centre voxel N/2: known analytically at any sampling.
Map blobs(std::size_t n, double voxel, double sigma, std::size_t depth = 0) {
  const double at[3][4] = {{7, -4, 10, 1}, {-12, 9, -3, 0.7}, {3, 14, -8, 1.4}};
  const bool flat = depth == 1;
  Map map(n, n, flat ? 1 : n);
  for (std::size_t z = 0; z < map.nz; ++z)
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x) {
        const double c = static_cast<double>(n / 2);
        const double px = (static_cast<double>(x) - c) * voxel, py = (static_cast<double>(y) - c) * voxel;
        const double pz = flat ? 0 : (static_cast<double>(z) - c) * voxel;
        double value = 0;
        for (const auto& a : at) {
          const double dx = px - a[0], dy = py - a[1], dz = flat ? 0 : pz - a[2];
          value += a[3] * std::exp(-(dx * dx + dy * dy + dz * dz) / (2 * sigma * sigma));
        }
        map(x, y, z) = static_cast<float>(value);
      }
  return map;
}

double largest_difference(const Map& a, const Map& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a.data[i]) - b.data[i]));
  return largest;
}

TEST(Fsc, OfAMapWithItselfIsOneAndWithItsNegativeMinusOne) {
  const Map a = noise(24, 1);
  Map b = a;
  for (float& v : b.data) v *= -2;
  for (double value : fsc(a, a)) EXPECT_NEAR(value, 1, 1e-9);
  for (double value : fsc(a, b)) EXPECT_NEAR(value, -1, 1e-9);
  EXPECT_EQ(fsc(a, a).size(), 13u);
}

TEST(Fsc, OfTwoNoisyCopiesIsTheSignalFraction) {
  // Signal power 1, noise power 2 in each copy: FSC 1/3 in every well-populated shell.
  const Map signal = noise(64, 2);
  Map a = noise(64, 3, std::sqrt(2.0)), b = noise(64, 4, std::sqrt(2.0));
  for (std::size_t i = 0; i < signal.size(); ++i) {
    a.data[i] += signal.data[i];
    b.data[i] += signal.data[i];
  }
  const auto curve = fsc(a, b);
  for (std::size_t s = 12; s < curve.size(); ++s) EXPECT_NEAR(curve[s], 1.0 / 3, 0.06) << "shell " << s;
}

TEST(Fsc, OfAnEmptyShellIsZeroAndSizesMustAgree) {
  Map zero(16, 16, 16);
  zero.fill(0);
  for (double value : fsc(zero, noise(16, 5))) EXPECT_EQ(value, 0);
  EXPECT_THROW(fsc(noise(16, 1), noise(18, 1)), InputError);
  Map slab(16, 16, 8);
  slab.fill(0);
  EXPECT_THROW(fsc(slab, slab), InputError);
}

TEST(Shells, ProductsAreThoseOfTheFsc) {
  Map a(12, 12, 12), b(12, 12, 12);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a.data[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i * i % 101)));
    b.data[i] = a.data[i] + static_cast<float>(std::cos(0.11 * static_cast<double>(i * i % 89)));
  }
  const HalfTransform fa = forward(a), fb = forward(b);
  const auto curve = fsc(fa, fb), ab = shell_products(fa, fb), aa = shell_products(fa, fa), bb = shell_products(fb, fb);
  ASSERT_EQ(ab.size(), 7u);
  for (std::size_t s = 1; s < ab.size(); ++s) EXPECT_NEAR(ab[s] / std::sqrt(aa[s] * bb[s]), curve[s], 1e-12) << s;
  EXPECT_THROW(shell_products(fa, HalfTransform(6, 10, 10)), InputError);
}

TEST(ShellPower, OfAPlaneWaveLiesInItsShell) {
  const std::size_t n = 32;
  Map map(n, n, n);
  for (std::size_t z = 0; z < n; ++z)
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x)
        map(x, y, z) =
            static_cast<float>(std::cos(2 * M_PI * (3.0 * static_cast<double>(y) + 4.0 * static_cast<double>(z)) / 32));
  const auto power = shell_power(forward(map));
  ASSERT_EQ(power.size(), 17u);
  for (std::size_t s = 0; s < power.size(); ++s) {
    if (s == 5)
      EXPECT_GT(power[s], 1e-3);
    else
      EXPECT_LT(power[s], 1e-12) << "shell " << s;
  }
}

TEST(MultiplyShells, ScalesEachShellAndClearsTheRest) {
  const Map map = noise(16, 6);
  const std::vector<float> factors{1, 0.5f, 2, 0, 0.25f};
  const HalfTransform before = forward(map), after = forward(multiply_shells(map, factors));
  const auto power = shell_power(before), left = shell_power(after);
  for (std::size_t s = 0; s < power.size(); ++s) {
    const double f = s < factors.size() ? factors[s] : 0;
    EXPECT_NEAR(left[s], f * f * power[s], 1e-6 * power[s]) << "shell " << s;
  }
  for (std::size_t i = 0; i < before.size(); ++i)  // phases stay: real factors, none negative
    EXPECT_GE((std::conj(before.data[i]) * after.data[i]).real(), -1e-9);
  EXPECT_THROW(multiply_shells(Map(16, 16, 8), factors), InputError);
}

TEST(LowPass, KeepsWhatLiesInsideASharpSphere) {
  const Map map = noise(16, 6);
  const HalfTransform before = forward(map), after = forward(low_pass(map, 5));
  std::size_t kept = 0, cleared = 0;
  for (std::size_t z = 0; z < before.nz; ++z)
    for (std::size_t y = 0; y < before.ny; ++y)
      for (std::size_t x = 0; x < before.nx; ++x) {
        const auto square = static_cast<long>(x * x) + signed_frequency(y, 16) * signed_frequency(y, 16) +
                            signed_frequency(z, 16) * signed_frequency(z, 16);
        const auto expected = square < 25 ? before(x, y, z) : 0;
        EXPECT_NEAR(std::abs(after(x, y, z) - expected), 0, 1e-7) << x << ' ' << y << ' ' << z;
        ++(square < 25 ? kept : cleared);
      }
  EXPECT_GT(kept, 250u);  // half of 4 / 3 pi 5^3, and the plane x = 0
  EXPECT_GT(cleared, 1000u);
  EXPECT_THROW(low_pass(Map(16, 16, 8), 5), InputError);
}

TEST(Crossing, IsTheFirstAndInterpolated) {
  EXPECT_DOUBLE_EQ(crossing_shell({1, 0.9, 0.5, 0.1, 0.6, 0.0}, 0.3), 2.5);
  EXPECT_DOUBLE_EQ(crossing_shell({1, 0.9, 0.8}, 0.143), 2);     // never falls
  EXPECT_DOUBLE_EQ(crossing_shell({1, 0.5, 0.5, 0.4}, 0.5), 2);  // touches, then falls
  EXPECT_DOUBLE_EQ(crossing_shell({1, 0.0, 0.0}, 0.25), 0.75);   // falls at once
  EXPECT_DOUBLE_EQ(crossing_shell({0, 0, 0}, 0.143), 0);         // nothing agrees
  EXPECT_DOUBLE_EQ(crossing_shell({}, 0.143), 0);
  EXPECT_DOUBLE_EQ(shell_resolution(10, 100, 1.5), 15);
  EXPECT_TRUE(std::isinf(shell_resolution(0, 100, 1.5)));
}

class ResizePairs : public ::testing::TestWithParam<std::pair<std::size_t, std::size_t>> {};

TEST_P(ResizePairs, UpAndDownIsTheIdentityInsideTheBand) {
  const auto [small, large] = GetParam();
  // A band-limited map: without the coefficients that the small box drops (Nyquist).
  const Map start = fourier_resize(fourier_resize(noise(small, 6), 2 * small), small);
  const Map back = fourier_resize(fourier_resize(start, large), small);
  EXPECT_LT(largest_difference(start, back), 1e-5);
}

TEST_P(ResizePairs, KeepsDensitiesAndTheCentre) {
  const auto [small, large] = GetParam();
  const double view = 150;  // A; blobs of sigma 9 A are band-limited on both grids
  const double fine = view / static_cast<double>(large), coarse = view / static_cast<double>(small);
  const Map up = fourier_resize(blobs(small, coarse, 9), large);
  const Map down = fourier_resize(blobs(large, fine, 9), small);
  EXPECT_LT(largest_difference(up, blobs(large, fine, 9)), 2e-3);
  EXPECT_LT(largest_difference(down, blobs(small, coarse, 9)), 2e-3);
}

INSTANTIATE_TEST_SUITE_P(EvenAndOdd, ResizePairs,
                         ::testing::Values(std::pair<std::size_t, std::size_t>{24, 40},
                                           std::pair<std::size_t, std::size_t>{25, 40},
                                           std::pair<std::size_t, std::size_t>{24, 41},
                                           std::pair<std::size_t, std::size_t>{25, 37}));

TEST(Resize, ImagesToo) {
  const Map image = fourier_resize(blobs(64, 2.5, 9, 1), 40);
  EXPECT_EQ(image.nz, 1u);
  EXPECT_LT(largest_difference(image, blobs(40, 4, 9, 1)), 1e-4);
}

TEST(Window, KeepsTheCentreForEvenAndOddBoxes) {
  for (std::size_t from : {10u, 11u, 16u})
    for (std::size_t to : {7u, 10u, 12u, 13u, 20u}) {
      Map map = noise(from, 7);
      map(from / 2, from / 2, from / 2) = 99;
      const Map cut = window(map, to, -5);
      ASSERT_EQ(cut.nx, to);
      EXPECT_EQ(cut(to / 2, to / 2, to / 2), 99) << from << " to " << to;
      if (to > from + 1) {
        EXPECT_EQ(cut(to - 1, to - 1, to - 1), -5);
      }
    }
}

TEST(EdgeMean, TakesTheFacesOnly) {
  Map map(6, 6, 6);
  map.fill(3);
  for (std::size_t z = 1; z < 5; ++z)
    for (std::size_t y = 1; y < 5; ++y)
      for (std::size_t x = 1; x < 5; ++x) map(x, y, z) = 100;
  EXPECT_FLOAT_EQ(edge_mean(map), 3);
}

TEST(Resample, NonIntegerRatioKeepsCentreAndAmplitudes) {
  // Blobs of 5 A: band-limited at either voxel size, and zero at the edge of the box.
  for (const auto& [box, from, to] : {std::tuple<std::size_t, double, double>{64, 1.77, 2.5},
                                      {64, 2.5, 1.5},
                                      {65, 1.9, 1.5},
                                      {90, 1.06, 1.5},
                                      {48, 2.5, 2.5}}) {
    const Resampled result = resample(blobs(box, from, 5), from, to);
    EXPECT_NEAR(result.voxel_size / to, 1, 1e-3);
    EXPECT_EQ(result.map.nx % 2, 0u);
    EXPECT_GE(static_cast<double>(result.map.nx) * result.voxel_size, static_cast<double>(box) * from - 1e-6);
    const Map expected = blobs(result.map.nx, result.voxel_size, 5);
    EXPECT_LT(largest_difference(result.map, expected), 5e-3) << box << ' ' << from << ' ' << to;
  }
}

TEST(Resample, PadsWithTheEdgeLevel) {
  Map map = blobs(64, 1.77, 5);
  for (float& v : map.data) v += 10;
  const Resampled result = resample(map, 1.77, 2.5);
  EXPECT_GT(static_cast<double>(result.map.nx) * 2.5, 64 * 1.77);
  EXPECT_NEAR(result.map(0, 0, 0), 10, 0.02);
}

TEST(Grid, SizesThatNoMemoryHoldsAreRefused) {
  const std::size_t large = std::size_t{1} << 32;
  EXPECT_THROW(Map(large, large, 1), std::bad_alloc);
  EXPECT_THROW(Map(large, large, large), std::bad_alloc) << "their product is 0 in 64 bits";
}

TEST(Resample, BoxesMeetTheRatioForAnyBox) {
  for (std::size_t box = 32; box <= 512; box += 13)
    for (double from : {0.52, 0.83, 1.0, 1.34, 2.07, 3.54}) {
      const ResampleBoxes boxes = resample_boxes(box, from, 1.5);
      EXPECT_GE(boxes.padded, box);
      if (static_cast<double>(box) * from > 48) {
        EXPECT_LE(boxes.padded, box + box / 2 + 16) << box << ' ' << from;
      }
      EXPECT_EQ(boxes.padded % 2 + boxes.resampled % 2, 0u);
      EXPECT_NEAR(boxes.voxel_size, 1.5, 1.501e-3);
    }
  EXPECT_THROW(resample_boxes(64, 0, 1.5), InputError);
  EXPECT_THROW(resample_boxes(64, 1.5, -1), InputError);
  for (const double wrong : {1e-7, 1e-3, 1e3, 402653184.0, 1e12})
    EXPECT_THROW(resample_boxes(32, wrong, 2.5), InputError) << wrong;
}

TEST(Mask, HasItsRadiusAndEdge) {
  const Map mask = spherical_mask(32, 10, 4);
  EXPECT_EQ(mask(16, 16, 16), 1);
  EXPECT_EQ(mask(16 + 8, 16, 16), 1);
  EXPECT_NEAR(mask(16 + 10, 16, 16), 0.5, 1e-6);
  EXPECT_EQ(mask(16, 16 + 12, 16), 0);
  EXPECT_NEAR(mask(16, 16, 16 - 9) + mask(16, 16, 16 - 11), 1, 1e-6);
}

}  // namespace
}  // namespace cryored
