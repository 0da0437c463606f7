#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/image_transform.hpp"

namespace cryored {
namespace {

Map noise(std::size_t nx, std::size_t ny, std::size_t nz, unsigned seed) {
  Map map(nx, ny, nz);
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  for (float& v : map.data) v = normal(engine);
  return map;
}

/// Number of the two members of a Friedel pair that a stored coefficient stands for.
double multiplicity(std::size_t x, std::size_t nx) { return x == 0 || (nx % 2 == 0 && x == nx / 2) ? 1 : 2; }

struct Size {
  std::size_t nx, ny, nz;
};
class FftSizes : public ::testing::TestWithParam<Size> {};

TEST_P(FftSizes, RoundTrip) {
  const auto [nx, ny, nz] = GetParam();
  const Map map = noise(nx, ny, nz, 1);
  const Map kept = map;
  const Map back = inverse(forward(map), nx);
  ASSERT_EQ(back.size(), map.size());
  for (std::size_t i = 0; i < map.size(); ++i) {
    ASSERT_NEAR(back.data[i], map.data[i], 2e-6);
    ASSERT_EQ(kept.data[i], map.data[i]) << "forward() changed its input";
  }
}

TEST_P(FftSizes, ZeroTermIsTheMeanAndParsevalHolds) {
  const auto [nx, ny, nz] = GetParam();
  const Map map = noise(nx, ny, nz, 2);
  const HalfTransform half = forward(map);
  double sum = 0, power = 0, half_power = 0;
  for (float v : map.data) {
    sum += v;
    power += static_cast<double>(v) * v;
  }
  const double n = static_cast<double>(map.size());
  EXPECT_NEAR(half.data[0].real(), sum / n, 1e-6);
  for (std::size_t z = 0; z < nz; ++z)
    for (std::size_t y = 0; y < ny; ++y)
      for (std::size_t x = 0; x < half.nx; ++x)
        half_power += multiplicity(x, nx) * std::norm(std::complex<double>(half(x, y, z)));
  EXPECT_NEAR(half_power * n / power, 1, 1e-5);
}

/// N <F a, b> over the whole transform equals <a, F^-1 b> over the map.
TEST_P(FftSizes, InverseIsTheAdjointOfForward) {
  const auto [nx, ny, nz] = GetParam();
  const Map a = noise(nx, ny, nz, 3);
  const HalfTransform b = forward(noise(nx, ny, nz, 4));  // Hermitian where it must be
  const HalfTransform fa = forward(a);
  const Map ib = inverse(b, nx);
  double left = 0, right = 0, norm = 0;
  for (std::size_t z = 0; z < nz; ++z)
    for (std::size_t y = 0; y < ny; ++y)
      for (std::size_t x = 0; x < fa.nx; ++x) {
        const std::complex<double> p = fa(x, y, z), q = b(x, y, z);
        left += multiplicity(x, nx) * (p.real() * q.real() + p.imag() * q.imag());
      }
  for (std::size_t i = 0; i < a.size(); ++i) {
    right += static_cast<double>(a.data[i]) * ib.data[i];
    norm += std::abs(static_cast<double>(a.data[i]) * ib.data[i]);
  }
  EXPECT_NEAR(left * static_cast<double>(a.size()), right, 1e-5 * norm);
}

TEST_P(FftSizes, MatchesTheDirectSumOfOneCoefficient) {
  const auto [nx, ny, nz] = GetParam();
  const Map map = noise(nx, ny, nz, 5);
  const HalfTransform half = forward(map);
  const std::size_t kx = half.nx / 2, ky = ny - 1, kz = nz > 1 ? 2 : 0;
  std::complex<double> sum = 0;
  for (std::size_t z = 0; z < nz; ++z)
    for (std::size_t y = 0; y < ny; ++y)
      for (std::size_t x = 0; x < nx; ++x) {
        const double turns = static_cast<double>(kx * x) / static_cast<double>(nx) +
                             static_cast<double>(ky * y) / static_cast<double>(ny) +
                             static_cast<double>(kz * z) / static_cast<double>(nz);
        sum += static_cast<double>(map(x, y, z)) * std::polar(1.0, -2 * M_PI * turns);
      }
  sum /= static_cast<double>(map.size());
  EXPECT_NEAR(half(kx, ky, kz).real(), sum.real(), 1e-6);
  EXPECT_NEAR(half(kx, ky, kz).imag(), sum.imag(), 1e-6);
}

TEST(ImageTransform, IsTheTransformOfOneMap) {
  for (const std::size_t box : {2u, 6u, 15u, 32u, 33u, 50u, 96u}) {
    const ImageTransform transform(box);
    const Map image = noise(box, box, 1, static_cast<unsigned>(box));
    HalfTransform half(box / 2 + 1, box, 1);
    transform.forward(image.data.data(), half.data.data());
    const HalfTransform expected = forward(image), kept = half;
    const auto area = static_cast<float>(box * box);
    for (std::size_t i = 0; i < half.size(); ++i)
      ASSERT_LT(std::abs(half.data[i] / area - expected.data[i]), 1e-6) << "box " << box;
    Map back(box, box, 1);
    transform.inverse(half.data.data(), back.data.data());
    for (std::size_t i = 0; i < image.size(); ++i) ASSERT_NEAR(back.data[i] / area, image.data[i], 3e-6) << box;
    for (std::size_t i = 0; i < half.size(); ++i)
      ASSERT_EQ(half.data[i], kept.data[i]) << "inverse() changed its input";
  }
}

INSTANTIATE_TEST_SUITE_P(All, FftSizes,
                         ::testing::Values(Size{16, 16, 16}, Size{15, 16, 17}, Size{17, 17, 17}, Size{64, 64, 64},
                                           Size{32, 32, 1}, Size{33, 31, 1}, Size{48, 20, 10}));

TEST(Fft, CentreMovesTheOriginByHalfTheBox) {
  const std::size_t n = 12;
  const Map map = noise(n, n, n, 6);
  HalfTransform half = forward(map);
  centre(half);
  const Map moved = inverse(std::move(half), n);
  for (std::size_t z = 0; z < n; ++z)
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x)
        ASSERT_NEAR(moved((x + n / 2) % n, (y + n / 2) % n, (z + n / 2) % n), map(x, y, z), 3e-6);
}

TEST(Fft, PaddedTransformIsThatOfTheLargerBox) {
  const struct {
    Size map;
    std::size_t size;
  } cases[] = {{{16, 16, 16}, 32}, {{15, 14, 13}, 30}, {{32, 32, 32}, 64}, {{9, 9, 9}, 21}, {{8, 8, 8}, 8}};
  for (const auto& [from, size] : cases) {
    const Map map = noise(from.nx, from.ny, from.nz, 9);
    Map large(size, size, size);
    large.fill(0);
    for (std::size_t z = 0; z < from.nz; ++z)
      for (std::size_t y = 0; y < from.ny; ++y)
        for (std::size_t x = 0; x < from.nx; ++x)
          large(x + size / 2 - from.nx / 2, y + size / 2 - from.ny / 2, z + size / 2 - from.nz / 2) = map(x, y, z);
    const HalfTransform expected = forward(large), padded = forward_padded(map, size);
    ASSERT_EQ(padded.size(), expected.size());
    for (std::size_t i = 0; i < padded.size(); ++i) ASSERT_EQ(padded.data[i], expected.data[i]) << size << ", " << i;
  }
  EXPECT_THROW(forward_padded(noise(8, 8, 8, 1), 7), Error);
}

TEST(Fft, ThreadsGiveTheSameResultAndPlansAreShared) {
  const Map map = noise(64, 64, 64, 7);
  set_threads(1);
  const HalfTransform expected = forward(map);
  set_threads(2);
  EXPECT_EQ(threads(), 2);
  std::vector<HalfTransform> results(4);
  std::vector<std::thread> workers;
  for (auto& result : results) workers.emplace_back([&result, &map] { result = forward(map); });
  for (auto& worker : workers) worker.join();
  set_threads(0);
  EXPECT_GE(threads(), 1);
  for (const auto& result : results)
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_LT(std::abs(result.data[i] - expected.data[i]), 1e-7);
}

TEST(Fft, WrongLengthIsNamed) {
  const HalfTransform half = forward(noise(16, 16, 16, 8));
  EXPECT_THROW(inverse(half, 18), Error);
  EXPECT_NO_THROW(inverse(half, 17));
  EXPECT_THROW(forward(Map()), Error);
}

}  // namespace
}  // namespace cryored
