// Which of several denoisers serves a map.

#include "models/weights_choice.hpp"

#include <filesystem>
#include <limits>
#include <set>

#include "models/unet_weights.hpp"
#include "tests/models/models_testing.hpp"
#include "tests/models/random_network.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;
using testing::random_network;
using testing::TemporaryFolder;

WeightsInfo with_voxel(double voxel) {
  WeightsInfo info;
  info.voxel_size = voxel;
  return info;
}

TEST(WeightsChoice, TheCoarsestThatReachesBeyondTheResolution) {
  const std::vector<WeightsInfo> both{with_voxel(2.5), with_voxel(1.5)};
  const auto voxel = [&](std::optional<double> nominal, double pixel) {
    return choose_denoiser(both, nominal, pixel).voxel_size;
  };
  EXPECT_EQ(voxel(12, 1.0), 2.5);
  EXPECT_EQ(voxel(7.5, 1.0), 2.5) << "5 A is better than 7.5 A by the factor of 1.5";
  EXPECT_EQ(voxel(7.4, 1.0), 1.5);
  EXPECT_EQ(voxel(2.5, 1.0), 1.5) << "beyond every denoiser: the finest";
  EXPECT_EQ(voxel(5.0, 2.5), 2.5) << "the map holds nothing beyond 5 A";
  EXPECT_EQ(voxel(5.0, 2.49999), 2.5) << "a pixel size from a file";
  EXPECT_EQ(voxel(5.0, 2.4), 1.5);
  EXPECT_EQ(voxel({}, 1.0), 2.5) << "no half-map FSC";
  EXPECT_EQ(voxel(std::numeric_limits<double>::infinity(), 1.0), 2.5) << "no shell above the threshold";
  EXPECT_EQ(choose_denoiser({with_voxel(2.5)}, 3.0, 1.0).voxel_size, 2.5);
}

TEST(WeightsChoice, WhatMayBeChosenIsWhatSomeResolutionChooses) {
  const std::vector<WeightsInfo> three{with_voxel(4), with_voxel(2.5), with_voxel(1.5)};
  for (const double pixel : {0.8, 1.5, 1.9, 2.5, 3.0, 4.5}) {
    std::set<double> possible, chosen;
    for (const WeightsInfo& info : denoisers_for(three, pixel)) possible.insert(info.voxel_size);
    for (double nominal = 2 * pixel; nominal < 40; nominal += 0.05)
      chosen.insert(choose_denoiser(three, nominal, pixel).voxel_size);
    EXPECT_EQ(possible, chosen) << pixel;
  }
}

class DenoiserSearch : public ::testing::Test {
 protected:
  std::string write(const std::string& name, double voxel) {
    UNetConfig config;
    config.levels = 2;
    config.width = 8;
    WeightsInfo info;
    info.name = name;
    info.licence = "CC0-1.0";
    info.date = "2026-01-31";
    info.voxel_size = voxel;
    info.block = 32;
    const std::string file = folder_.file(name + ".crw");
    save_weights(file, random_network(config, 1), info);
    return file;
  }
  TemporaryFolder folder_;
};

TEST_F(DenoiserSearch, AFolderGivesItsDenoisersCoarsestFirst) {
  const std::string fine = write("denoiser-1A", 1), coarse = write("denoiser-9A", 9), mine = write("mine", 2);
  EXPECT_EQ(find_denoisers("", folder_.path()), (std::vector<std::string>{fine, coarse}));
  const std::vector<WeightsInfo> read = read_denoisers(find_denoisers("", folder_.path()));
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].path, coarse);
  EXPECT_EQ(read[1].path, fine);
  // A file that is named stands alone.
  EXPECT_EQ(find_denoisers("", fine), std::vector<std::string>{fine});
  EXPECT_EQ(find_denoisers("mine", folder_.path()), std::vector<std::string>{mine});
  EXPECT_EQ(find_denoisers(mine, ""), std::vector<std::string>{mine});
}

TEST_F(DenoiserSearch, AVariableThatNamesNothingIsAnErrorAndNoFallBack) {
  testing::expect_error<InputError>([&] { find_denoisers("", folder_.file("typo.crw")); }, "CRYORED_WEIGHTS",
                                    "typo.crw");
}

TEST_F(DenoiserSearch, AFolderWithoutDenoisersLeavesTheInstallations) {
  write("mine", 2);
  const std::vector<std::string> found = find_denoisers("", folder_.path());
  ASSERT_FALSE(found.empty());
  for (const std::string& file : found) EXPECT_NE(fs::path(file).parent_path(), folder_.path()) << file;
}

}  // namespace
}  // namespace cryored
