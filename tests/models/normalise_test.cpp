// The grey scale of the network, and the cutting and blending of blocks.

#include "models/normalise.hpp"

#include "models/blocks.hpp"
#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

using testing::expect_error;
using testing::molecule;

Map padded(const Map& map, std::size_t n) {
  Map out(n, n, n);
  out.fill(0.0f);
  const std::size_t o = (n - map.nx) / 2;
  for (std::size_t z = 0; z < map.nz; ++z)
    for (std::size_t y = 0; y < map.ny; ++y)
      for (std::size_t x = 0; x < map.nx; ++x) out(x + o, y + o, z + o) = map(x, y, z);
  return out;
}

TEST(MapScale, GaussianNoiseHasItsStandardDeviation) {
  Map map(64, 64, 64);
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  for (auto& v : map.data) v = normal(random);
  for (const auto rule : {Normalisation::standard_deviation, Normalisation::contrast}) {
    EXPECT_NEAR(map_scale(map, rule), 3, 0.02) << to_string(rule);
  }
  EXPECT_EQ(map_scale(map, Normalisation::none), 1);
}

TEST(MapScale, ContrastDoesNotChangeWithEmptySpace) {
  const Map map = molecule(32, 0, 2), larger = padded(map, 64);
  const auto ratio = [&](Normalisation rule) { return map_scale(larger, rule) / map_scale(map, rule); };
  EXPECT_NEAR(ratio(Normalisation::contrast), 1, 1e-6);
  EXPECT_LT(ratio(Normalisation::standard_deviation), 0.5);
}

TEST(MapScale, FollowsAnyGreyScale) {
  Map map = molecule(24, 0.1, 3);
  for (const auto rule : {Normalisation::standard_deviation, Normalisation::contrast}) {
    const double one = map_scale(map, rule);
    for (const float factor : {1e-20f, 1e-3f, 1e3f, 1e18f}) {
      Map scaled = map;
      for (auto& v : scaled.data) v *= factor;
      EXPECT_NEAR(map_scale(scaled, rule) / factor / one, 1, 1e-5) << factor;
    }
  }
}

TEST(MapScale, ConstantMapsAndBadValues) {
  Map map(8, 8, 8);
  map.fill(0.0f);
  EXPECT_EQ(map_scale(map, Normalisation::contrast), 1);
  EXPECT_EQ(map_scale(map, Normalisation::standard_deviation), 1);
  map.fill(5.0f);
  EXPECT_EQ(map_scale(map, Normalisation::standard_deviation), 1);
  map.data[77] = NAN;
  expect_error<InputError>([&] { map_scale(map, Normalisation::contrast); }, "voxel 77", "nan", "finite");
  map.data[77] = INFINITY;
  expect_error<InputError>([&] { map_scale(map, Normalisation::none); }, "voxel 77", "inf");
}

TEST(MapScale, NamesComeBack) {
  for (const auto rule : {Normalisation::none, Normalisation::standard_deviation, Normalisation::contrast}) {
    Normalisation read{};
    ASSERT_TRUE(from_string(to_string(rule), read));
    EXPECT_EQ(read, rule);
  }
  Normalisation read{};
  EXPECT_FALSE(from_string("other", read));
}

TEST(Blocks, WeightsSumToOneAtEveryVoxel) {
  for (const std::size_t length : {1, 7, 32, 33, 47, 48, 49, 64, 100, 131, 257})
    for (const std::size_t block : {16, 32, 48})
      for (const std::size_t overlap : {0, 1, 12, 15}) {
        const auto plan = plan_axis(length, block, overlap);
        std::vector<double> sum(length, 0);
        ASSERT_EQ(plan.starts.size(), plan.weights.size());
        for (std::size_t i = 0; i < plan.starts.size(); ++i) {
          if (i > 0) {
            EXPECT_GE(plan.starts[i - 1] + static_cast<long>(block - overlap), plan.starts[i]);
            EXPECT_GT(plan.starts[i], plan.starts[i - 1]);
          }
          for (std::size_t k = 0; k < block; ++k) {
            const long at = plan.starts[i] + static_cast<long>(k);
            const float w = plan.weights[i][k];
            EXPECT_GE(w, 0);
            if (at < 0 || at >= static_cast<long>(length))
              EXPECT_EQ(w, 0);
            else
              sum[static_cast<std::size_t>(at)] += w;
          }
        }
        for (const double s : sum) EXPECT_NEAR(s, 1, 1e-7) << length << " " << block << " " << overlap;
      }
}

TEST(Blocks, CutAndBlendedBackIsTheMap) {
  for (const std::size_t n : {5, 16, 23, 40}) {
    const Map map = molecule(n, 1, 4);
    const auto plan = plan_axis(n, 16, 6);
    Map back(n, n, n);
    back.fill(0.0f);
    std::vector<float> block(16 * 16 * 16);
    for (std::size_t k = 0; k < plan.starts.size(); ++k)
      for (std::size_t j = 0; j < plan.starts.size(); ++j)
        for (std::size_t i = 0; i < plan.starts.size(); ++i) {
          cut_block(map, plan.starts[i], plan.starts[j], plan.starts[k], 16, 1, block.data());
          add_block(block.data(), plan, i, plan, j, plan, k, back);
        }
    EXPECT_LT(testing::relative_difference(back, map), 1e-6) << n;
  }
}

TEST(Blocks, TheMapGoesOnPeriodicallyAndTheScaleIsApplied) {
  Map map(4, 4, 4);
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] = static_cast<float>(i);
  // More than twice the map's length.
  for (const long start : {-2L, -7L, 1L}) {
    std::vector<float> block(11 * 11 * 11, -1.0f);
    cut_block(map, start, start, start, 11, 2, block.data());
    for (long k = 0; k < 11; ++k)
      for (long j = 0; j < 11; ++j)
        for (long i = 0; i < 11; ++i) {
          const auto at = [start](long index) { return static_cast<std::size_t>((index + start + 8) % 4); };
          ASSERT_EQ(block[static_cast<std::size_t>((k * 11 + j) * 11 + i)], map(at(i), at(j), at(k)) / 2)
              << start << " " << i << " " << j << " " << k;
        }
  }
}

TEST(Blocks, OverlapMustBeLessThanTheBlock) {
  expect_error<UsageError>([] { plan_axis(64, 16, 16); }, "overlap", "16 of 16");
}

}  // namespace
}  // namespace cryored
