// Pairs through relion_reconstruct itself.
#include "training/known_angle_pairs.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/process.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

KnownAngleOptions small_options(double angle) {
  KnownAngleOptions o;
  o.pair.box = 32;
  o.pair.voxel = 2.5;
  o.pair.rounds = 1;
  o.pair.least_particles = o.pair.most_particles = 150;
  o.pair.least_snr = o.pair.most_snr = 0.5;
  o.least_angle = o.most_angle = angle;
  return o;
}

TEST(KnownAnglePairs, ResolutionFallsWithTheAngularErrorAndTheHalvesPromiseWhatIsThere) {
  if (find_program("relion_reconstruct").empty())
    GTEST_SKIP() << "no relion_reconstruct on PATH: sudo apt-get install relion";
  const Structure structure = test::small_structure();
  const auto fine = known_angle_pairs(structure, small_options(0.5), 3),
             coarse = known_angle_pairs(structure, small_options(20), 3);
  ASSERT_EQ(fine.size(), 2u);
  ASSERT_EQ(coarse.size(), 2u);
  EXPECT_LT(fine[0].nominal_resolution, 0.8 * coarse[0].nominal_resolution);
  EXPECT_NEAR(fine[0].median_error, 0.77, 0.01);
  for (const TrainingPair& pair : fine) {
    const auto to_truth = fsc(pair.input, pair.target);
    double difference = 0;
    int shells = 0;
    for (std::size_t s = 2; s < static_cast<std::size_t>(pair.cut); ++s, ++shells)
      difference += to_truth[s] - std::sqrt(std::max(0.0f, pair.half_fsc[s]));
    EXPECT_NEAR(difference / shells, 0, 0.08) << "FSC to truth is sqrt(half-map FSC) where errors are independent";
    const auto power = shell_power(forward(pair.input)), truth = shell_power(forward(pair.target));
    EXPECT_NEAR(power[2] / truth[2], 1, 0.1) << "one grey scale";
    for (auto s = static_cast<std::size_t>(pair.cut) + 1; s < power.size(); ++s) EXPECT_LT(power[s], 1e-6 * power[1]);
    for (auto s = static_cast<std::size_t>(pair.cut); s < pair.half_fsc.size(); ++s)
      EXPECT_EQ(pair.half_fsc[s], 0) << "RELION writes zeros beyond the current size";
  }
  EXPECT_NE(fine[0].input.data, fine[1].input.data);
  EXPECT_EQ(fine[0].input.data, known_angle_pairs(structure, small_options(0.5), 3)[0].input.data);
}

}  // namespace
}  // namespace cryored
