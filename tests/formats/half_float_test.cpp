// float16 against its definition, for all 65536 bit patterns.

#include "core/formats/half_float.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace cryored {
namespace {

double value_by_definition(std::uint16_t half) {
  const int exponent = (half >> 10) & 31, fraction = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

TEST(HalfFloat, DecodesEveryPattern) {
  std::vector<std::uint16_t> halves(65536);
  std::iota(halves.begin(), halves.end(), 0);
  std::vector<float> floats(65536);
  half_to_float(halves.data(), floats.data(), halves.size());
  for (unsigned h = 0; h < 65536; ++h) {
    const double expected = value_by_definition(static_cast<std::uint16_t>(h));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(floats[h])) << h;
    } else {
      EXPECT_EQ(static_cast<double>(floats[h]), expected) << h;
      EXPECT_EQ(std::signbit(floats[h]), h >= 32768) << h;
    }
    // Fewer than eight take the way of processors without F16C.
    float alone = 0;
    half_to_float(&halves[h], &alone, 1);
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(alone)) << h;
    else
      EXPECT_EQ(std::bit_cast<std::uint32_t>(alone), std::bit_cast<std::uint32_t>(floats[h])) << h;
  }
  std::vector<std::uint16_t> back(65536);
  float_to_half(floats.data(), back.data(), floats.size());
  for (unsigned h = 0; h < 65536; ++h) {
    if (std::isnan(floats[h])) {
      EXPECT_EQ(back[h] & 0x7c00, 0x7c00) << h;
      EXPECT_NE(back[h] & 0x3ff, 0) << h;
    } else {
      EXPECT_EQ(back[h], h);
    }
  }
}

TEST(HalfFloat, RoundsToNearestEven) {
  // Between each pair of neighbours: the midpoint goes to the even one, its float
  // neighbours to the nearer one. The last pair is 65504 and what would be 65536.
  for (unsigned h = 0; h < 0x7c00; ++h) {
    const auto low = static_cast<float>(value_by_definition(static_cast<std::uint16_t>(h)));
    const float high =
        h == 0x7bff ? 65536.0f : static_cast<float>(value_by_definition(static_cast<std::uint16_t>(h + 1)));
    const float middle = (low + high) / 2;
    // Eight take the processor's own conversion where it has one, the last four our own.
    std::vector<float> values;
    for (int i = 0; i < 3; ++i)
      values.insert(values.end(), {middle, std::nextafter(middle, low), std::nextafter(middle, high), -middle});
    std::vector<std::uint16_t> out(values.size());
    float_to_half(values.data(), out.data(), values.size());
    const unsigned even = h % 2 == 0 ? h : h + 1;
    for (std::size_t i = 0; i < out.size(); i += 4) {
      EXPECT_EQ(out[i], even);
      EXPECT_EQ(out[i + 1], h);
      EXPECT_EQ(out[i + 2], h + 1);
      EXPECT_EQ(out[i + 3], even | 0x8000u);
    }
  }
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> once = {1e30f, -1e30f, 1e-30f, -1e-30f, infinity, std::numeric_limits<float>::denorm_min()};
  const std::uint16_t expected[] = {0x7c00, 0xfc00, 0, 0x8000, 0x7c00, 0};
  std::vector<float> extremes = once;
  extremes.insert(extremes.end(), once.begin(), once.end());
  std::vector<std::uint16_t> out(extremes.size());
  float_to_half(extremes.data(), out.data(), extremes.size());
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], expected[i % 6]) << extremes[i % 6];
}

}  // namespace
}  // namespace cryored
