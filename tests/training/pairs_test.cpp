#include "training/pairs.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

PairOptions small_options() {
  PairOptions o;
  o.box = 32;
  o.voxel = 2.5;
  o.least_particles = 60;
  o.most_particles = 80;
  o.least_snr = o.most_snr = 0.5;
  o.rounds = 2;
  o.first_views = 500;
  return o;
}

TEST(Pairs, HalvesAreIndependentAndBandLimited) {
  const auto pairs = make_pairs(test::small_structure(), small_options(), 4);
  ASSERT_EQ(pairs.size(), 4u);
  for (const auto& p : pairs) {
    const auto to_truth = fsc(p.input, p.target);
    EXPECT_GT(to_truth[2], 0.8) << "signal at low resolution";
    const auto power = shell_power(forward(p.input));
    for (auto s = static_cast<std::size_t>(p.cut) + 1; s < power.size(); ++s) EXPECT_LT(power[s], 1e-6 * power[1]);
    for (auto s = static_cast<std::size_t>(p.cut); s < p.half_fsc.size(); ++s)
      EXPECT_EQ(p.half_fsc[s], 0) << "RELION writes zeros beyond the current size";
    EXPECT_GE(p.nominal_resolution, shell_resolution(p.cut - 1, p.input.nx, p.voxel) - 1e-9);
  }
  EXPECT_NE(pairs[0].input.data[100], pairs[1].input.data[100]);
  EXPECT_EQ(pairs[0].half_fsc, pairs[1].half_fsc);
}

TEST(Pairs, SeedDecidesThem) {
  const auto a = make_pairs(test::small_structure(), small_options(), 4),
             b = make_pairs(test::small_structure(), small_options(), 4);
  const auto c = make_pairs(test::small_structure(), small_options(), 5);
  EXPECT_EQ(a[2].input.data, b[2].input.data);
  EXPECT_NE(a[2].input.data, c[2].input.data);
}

TEST(Pairs, ShardsRoundTripToHalfPrecision) {
  const auto path = (std::filesystem::temp_directory_path() / "cryored_test.pairs").string();
  const auto pairs = make_pairs(test::small_structure(), small_options(), 4);
  write_pairs(path, pairs, "TEST");
  const PairShard shard(path);
  ASSERT_EQ(shard.size(), 4u);
  const TrainingPair back = shard.read(3);
  EXPECT_EQ(back.cut, pairs[3].cut);
  EXPECT_EQ(back.voxel, 2.5);
  EXPECT_EQ(shard.voxel(), 2.5);
  EXPECT_EQ(shard.box(), 32u);
  EXPECT_EQ(back.half_fsc, pairs[3].half_fsc);
  double error = 0, power = 0;
  for (std::size_t i = 0; i < back.input.size(); ++i) {
    error += std::pow(back.input.data[i] - pairs[3].input.data[i], 2);
    power += std::pow(pairs[3].input.data[i], 2);
  }
  EXPECT_LT(std::sqrt(error / power), 1e-3);
  // Shards of the first format lack the four bytes of the voxel size in every record.
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {}), old;
  const std::size_t record = bytes.size() / 4;
  for (std::size_t r = 0; r < 4; ++r)
    old += "CRP1" + bytes.substr(r * record + 4, 48) + bytes.substr(r * record + 56, record - 56);
  std::ofstream(path, std::ios::binary) << old;
  const PairShard first(path);
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first.voxel(), 0);
  EXPECT_EQ(first.read(3).input.data, back.input.data);
  EXPECT_EQ(first.read(3).cut, back.cut);

  // Cut short: within the second pair, and within the first.
  for (const std::size_t size : {record + record / 2, record / 2}) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, size);
    try {
      PairShard{path};
      ADD_FAILURE() << size << " bytes of " << bytes.size() << " were taken";
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(std::to_string(size) + " bytes"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(std::to_string(record)), std::string::npos) << e.what();
    }
  }
  std::ofstream(path) << "not a shard";
  EXPECT_THROW(PairShard{path}, InputError);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace cryored
