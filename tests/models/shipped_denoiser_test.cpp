// What the shipped denoiser does to maps that have nothing wrong: it must not take anything from a molecule.

#include <gtest/gtest.h>

#include <algorithm>

#include "core/fourier/shells.hpp"
#include "models/block_denoiser.hpp"
#include "models/weights_choice.hpp"
#include "simulation/density.hpp"

namespace cryored {
namespace {

Map molecule(const EulerAngles& angles) {
  DensityOptions options;
  options.box = 48;
  options.voxel = 2.5;
  options.rotation = rotation_from(angles);
  return density_map(read_structure(std::string(CRYORED_TEST_DATA) + "/4AKE.pdb.gz"), options);
}

/// Least FSC to the map below 6 A.
double least_fsc(const Map& map) {
  DenoiserOptions options;
  options.device = "cpu";
  options.threads = 1;
  const auto curve = fsc(map, make_denoiser(find_weights("", ""), options)->denoise(map));
  return *std::min_element(curve.begin() + 1, curve.begin() + 21);
}

TEST(ShippedDenoiser, LeavesAPerfectMapAsItIs) { EXPECT_GT(least_fsc(molecule({10, 20, 30})), 0.96); }

// Weights of before were trained on light molecules alone: they hollowed out heavy ones (docs/training.md, "Heavy
// molecules").
TEST(ShippedDenoiser, LeavesTwoMoleculesInABlockAsTheyAre) {
  Map both = molecule({10, 20, 30});
  const Map second = molecule({80, 70, 50});
  const std::size_t n = both.nx, half = n / 2;
  for (std::size_t z = 0; z < n; ++z)
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x) both(x, y, z) += second((x + half) % n, (y + half) % n, (z + half) % n);
  EXPECT_GT(least_fsc(both), 0.9);
}

}  // namespace
}  // namespace cryored
