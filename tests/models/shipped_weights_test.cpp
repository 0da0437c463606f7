// The weights in the repository: whole, described, and of the architecture that their header names.

#include "models/weights_file.hpp"
#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

TEST(ShippedWeights, AreFoundWholeAndDescribed) {
  unsetenv("CRYORED_WEIGHTS");
  const WeightsInfo info = verify_weights(find_weights());
  EXPECT_EQ(std::filesystem::path(info.path).filename(), "denoiser-2.5A.crw");
  EXPECT_EQ(info.parameters(), unet_parameters(info.architecture));
  EXPECT_DOUBLE_EQ(info.voxel_size, 2.5);
  EXPECT_EQ(info.architecture.in_channels, 1);
  EXPECT_FALSE(info.licence.empty());
  EXPECT_FALSE(info.date.empty());
  EXPECT_FALSE(info.training.empty()) << "what the network was trained on must be stated";
  EXPECT_FALSE(info.metrics.empty()) << "what it reaches must be stated";
}

}  // namespace
}  // namespace cryored
