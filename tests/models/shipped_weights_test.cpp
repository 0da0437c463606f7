// The weights in the repository: whole, described, and of the architecture that their header names.

#include <algorithm>
#include <filesystem>

#include "models/imaging/pinn_config.hpp"
#include "models/weights_choice.hpp"
#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

TEST(ShippedWeights, AreFoundWholeAndDescribed) {
  unsetenv("CRYORED_WEIGHTS");
  EXPECT_EQ(std::filesystem::path(find_weights()).filename(), "denoiser-2.5A.crw");
  const std::vector<WeightsInfo> denoisers = read_denoisers(find_denoisers("", ""));
  std::string names;
  for (const WeightsInfo& header : denoisers) {
    const WeightsInfo info = verify_weights(header.path);
    names += info.name + " ";
    EXPECT_EQ(std::filesystem::path(info.path).filename(), info.name + ".crw");
    EXPECT_EQ(info.parameters(), unet_parameters(info.architecture));
    EXPECT_EQ(info.architecture.in_channels, 1);
    EXPECT_FALSE(info.licence.empty());
    EXPECT_FALSE(info.date.empty());
    EXPECT_FALSE(info.training.empty()) << "what the network was trained on must be stated";
    EXPECT_FALSE(info.metrics.empty()) << "what it reaches must be stated";
    EXPECT_TRUE(info.confidence) << "what the default rests on";
    EXPECT_LT(info.file_bytes, 12'000'000u);
  }
  EXPECT_EQ(names, "denoiser-2.5A denoiser-1.5A ");
  EXPECT_EQ(choose_denoiser(denoisers, 10.0, 1.06).name, "denoiser-2.5A");
  EXPECT_EQ(choose_denoiser(denoisers, 4.0, 1.06).name, "denoiser-1.5A");
}

// The phase network's beside it: found by its own name, and never taken for a denoiser.
TEST(ShippedWeights, OfThePhaseNetworkAreFoundWholeAndDescribed) {
  unsetenv("CRYORED_WEIGHTS");
  const WeightsInfo info = verify_weights(find_weights("", "", kPhaseWeights));
  EXPECT_EQ(std::filesystem::path(info.path).filename(), kPhaseWeights);
  EXPECT_EQ(info.model.at("type"), kPinnType);
  EXPECT_NO_THROW(pinn_config(info.model, info.path));
  EXPECT_LT(info.file_bytes, 10'000'000u);
  EXPECT_FALSE(info.training.empty() || info.metrics.empty());
  EXPECT_THROW(require_denoiser(info), InputError);
  const auto all = list_weights("");
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const std::string& f) { return f.ends_with(".crw"); }), 3);
}

}  // namespace
}  // namespace cryored
