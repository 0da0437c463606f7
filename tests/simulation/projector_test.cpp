#include "simulation/projector.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

Map test_map(std::size_t box = 32) {
  DensityOptions o;
  o.box = box;
  o.voxel = 2.0;
  o.b_factor = 300;  // band-limited well inside the slices' radius
  return density_map(test::small_structure(), o);
}

/// Relative RMS difference between a slice's image and the sum of `map` along z.
double difference_from_sum(const Map& map, const Map& image) {
  double error = 0, power = 0;
  for (std::size_t y = 0; y < map.ny; ++y)
    for (std::size_t x = 0; x < map.nx; ++x) {
      double sum = 0;
      for (std::size_t z = 0; z < map.nz; ++z) sum += map(x, y, z);
      error += std::pow(image(x, y, 0) - sum, 2);
      power += sum * sum;
    }
  return std::sqrt(error / power);
}

TEST(Projector, SliceIsTheSumAlongTheView) {
  DensityOptions o;
  o.box = 32;
  o.voxel = 2.0;
  o.b_factor = 300;
  const Structure s = test::small_structure();
  const SlicePixels pixels = slice_pixels(32, 15);
  const Projector projector(density_map(s, o), 2, 15);
  std::mt19937_64 rng(5);
  std::vector<std::complex<float>> slice(pixels.size());
  for (int i = 0; i < 5; ++i) {
    o.rotation = random_rotation(rng);
    projector.slice(pixels, o.rotation, slice.data());
    EXPECT_LT(difference_from_sum(density_map(s, o), image_from_slice(pixels, slice.data(), 0, 0)), 0.025);
  }
  // On grid points nothing is interpolated, so there the envelope's compensation is too much.
  o.rotation = Rotation{};
  projector.slice(pixels, o.rotation, slice.data());
  EXPECT_LT(difference_from_sum(density_map(s, o), image_from_slice(pixels, slice.data(), 0, 0)), 0.05);
}

TEST(Projector, AnyGreyScale) {
  const Map map = test_map();
  const SlicePixels pixels = slice_pixels(map.nx, 15);
  const Rotation view = rotation_from({20, 50, 80});
  std::vector<std::complex<float>> expected(pixels.size()), slice(pixels.size());
  Projector(map, 2, 15).slice(pixels, view, expected.data());
  float largest = 0;
  for (const auto& v : expected) largest = std::max(largest, std::abs(v));
  for (const float factor : {1e-34f, 1e-12f, 1e9f}) {
    Map scaled = map;
    for (float& v : scaled.data) v *= factor;
    Projector(scaled, 2, 15).slice(pixels, view, slice.data());
    for (std::size_t i = 0; i < slice.size(); ++i)
      ASSERT_LE(std::abs(slice[i] / factor - expected[i]), 1e-3f * std::abs(expected[i]) + 1e-6f * largest) << factor;
  }
  Map empty = map;
  empty.fill(0);
  Projector(empty, 2, 15).slice(pixels, view, slice.data());
  for (const auto& v : slice) ASSERT_EQ(v, std::complex<float>(0));
}

TEST(Projector, MoveIsAPhase) {
  const Map map = test_map();
  const SlicePixels pixels = slice_pixels(map.nx, 15);
  std::vector<std::complex<float>> slice(pixels.size());
  Projector(map, 2, 15).slice(pixels, Rotation{}, slice.data());
  const Map still = image_from_slice(pixels, slice.data(), 0, 0), moved = image_from_slice(pixels, slice.data(), 3, -2);
  for (std::size_t y = 4; y < 28; ++y)
    for (std::size_t x = 4; x < 28; ++x) EXPECT_NEAR(moved(x, y, 0), still(x - 3, y + 2, 0), 1e-3 * 50);
}

TEST(Backprojector, ManySlicesGiveTheMapBack) {
  const Map map = test_map();
  const int radius = 15;
  const SlicePixels pixels = slice_pixels(map.nx, radius);
  const Projector projector(map, 2, radius);
  Backprojector back(map.nx, radius);
  std::mt19937_64 rng(1);
  std::vector<std::complex<float>> slice(pixels.size());
  for (int i = 0; i < 3000; ++i) {
    const Rotation r = random_rotation(rng);
    projector.slice(pixels, r, slice.data());
    back.insert(pixels, r, slice.data(), 1);
  }
  const auto curve = fsc(back.unregularised(), map);
  for (std::size_t s = 1; s < 13; ++s) EXPECT_GT(curve[s], 0.97) << "shell " << s;
  const auto weight = back.shell_weight();
  // Uniform views put n / (2 s) slices on each coefficient of shell s.
  EXPECT_NEAR(weight[10] / (3000.0 / 20), 1, 0.1);
}

TEST(Backprojector, GreyScaleIsKept) {
  const Map map = test_map();
  const SlicePixels pixels = slice_pixels(map.nx, 15);
  const Projector projector(map, 2, 15);
  Backprojector back(map.nx, 15);
  std::mt19937_64 rng(2);
  std::vector<std::complex<float>> slice(pixels.size());
  for (int i = 0; i < 3000; ++i) {
    const Rotation r = random_rotation(rng);
    projector.slice(pixels, r, slice.data());
    back.insert(pixels, r, slice.data(), 0.5f);
  }
  const Map found = back.unregularised();
  double ab = 0, bb = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    ab += static_cast<double>(found.data[i]) * map.data[i];
    bb += static_cast<double>(map.data[i]) * map.data[i];
  }
  // Slices lie denser towards the origin, where the transform is largest: a few per cent too much.
  EXPECT_NEAR(ab / bb, 1, 0.06);
}

}  // namespace
}  // namespace cryored
