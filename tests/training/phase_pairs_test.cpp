#include "training/phase_pairs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.hpp"
#include "core/imaging/electrons.hpp"
#include "models/imaging/pinn_config.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

double mean(const Map& map) {
  double s = 0;
  for (const float v : map.data) s += v;
  return s / static_cast<double>(map.size());
}

double variance_of_difference(const Map& a, const Map& b) {
  double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) s += std::pow(double(a.data[i]) - double(b.data[i]), 2);
  return s / static_cast<double>(a.size());
}

PhaseImageOptions small_image() {
  PhaseImageOptions o;
  o.box = 64;
  o.pixel_size = 1.5;
  o.ctf.voltage = 200;
  o.ctf.spherical_aberration = 2;
  o.ctf.defocus_u = o.ctf.defocus_v = 6000;
  return o;
}

TEST(PhasePairs, NoiseIsThatOfTheDoseAndTheIce) {
  const Structure s = test::small_structure(200, 10);
  auto o = small_image();
  o.ice = 0;
  const PhaseImage counted = simulate_phase_image(s, o);
  EXPECT_NEAR(mean(counted.intensity), 1, 0.02);
  EXPECT_NEAR(variance_of_difference(counted.intensity, counted.clean), 1 / (30 * 2.25), 0.1 / (30 * 2.25));
  o.dose = 0;
  EXPECT_EQ(simulate_phase_image(s, o).intensity.data, counted.clean.data);
  // Ice adds noise of its own; thicker ice adds more. The truth has none of it.
  o.ice = 200;
  const PhaseImage thin = simulate_phase_image(s, o);
  o.ice = 800;
  const PhaseImage thick = simulate_phase_image(s, o);
  const double ratio =
      variance_of_difference(thick.intensity, thick.clean) / variance_of_difference(thin.intensity, thin.clean);
  EXPECT_NEAR(ratio, 4, 0.8);
  EXPECT_EQ(thick.phase.data, counted.phase.data);
  EXPECT_GT(*std::max_element(thick.phase.data.begin(), thick.phase.data.end()), 0.01);
}

TEST(PhasePairs, ExposuresOfOneParticleShareItsPhaseAndNothingElse) {
  const Structure s = test::small_structure(200, 10);
  const auto o = small_image();
  const PhaseExposures all = simulate_phase_exposures(s, o, 3, 2);
  const PhaseImage one = simulate_phase_image(s, o);
  ASSERT_EQ(all.intensities.size(), 3u);
  ASSERT_EQ(all.blanks.size(), 2u);
  EXPECT_EQ(all.intensities[0].data, one.intensity.data);
  EXPECT_EQ(all.phase.data, one.phase.data);
  EXPECT_EQ(all.clean.data, one.clean.data);
  // Every pair of exposures differs by noise of twice the variance; a blank is ice and noise alone.
  const double noise = 2 / (30 * 2.25);
  EXPECT_GT(variance_of_difference(all.intensities[1], all.intensities[2]), 0.9 * noise);
  EXPECT_GT(variance_of_difference(all.intensities[0], all.intensities[1]), 0.9 * noise);
  EXPECT_GT(variance_of_difference(all.blanks[0], all.blanks[1]), 0.9 * noise);
  EXPECT_NEAR(mean(all.blanks[0]), 1, 0.02);
}

TEST(PhasePairs, SeedsMakeOtherExposuresOfTheSameParticle) {
  const Structure s = test::small_structure(200, 10);
  auto o = small_image();
  const PhaseImage first = simulate_phase_image(s, o), again = simulate_phase_image(s, o);
  o.seed = 2;
  const PhaseImage other = simulate_phase_image(s, o);
  EXPECT_EQ(first.intensity.data, again.intensity.data);
  EXPECT_NE(first.intensity.data, other.intensity.data);
  EXPECT_EQ(first.clean.data, other.clean.data);
  o.dose = -1;
  EXPECT_THROW(simulate_phase_image(s, o), UsageError);
}

TEST(PhasePairs, PapersSettingHasFiveHundredPairs) {
  const auto setting = PhaseSetting::paper();
  std::set<std::uint64_t> seeds;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const auto d = draw_phase_example(setting, 1, 7, i / 4, i);
    seeds.insert(d.image.seed);
    ASSERT_EQ(d.image.ctf.defocus_u, 10000);
    ASSERT_EQ(d.image.pixel_size, 1);
    ASSERT_EQ(d.image.ctf.voltage, 200);
  }
  EXPECT_EQ(seeds.size(), 500u);
}

TEST(PhasePairs, ImagesOfAGroupShareTheirGrid) {
  const auto setting = PhaseSetting::general();
  std::set<double> pixels, doses;
  std::set<std::size_t> structures;
  for (std::uint64_t i = 0; i < 40; ++i) {
    const auto d = draw_phase_example(setting, 5, 7, i / 4, i);
    const auto first = draw_phase_example(setting, 5, 7, i / 4, i / 4 * 4);
    EXPECT_EQ(d.image.pixel_size, first.image.pixel_size);
    EXPECT_EQ(d.image.padded, first.image.padded);
    EXPECT_GE(d.image.padded, padded_box(setting.box, d.image.pixel_size, d.image.ctf, kPinnGridResolution));
    pixels.insert(d.image.pixel_size);
    doses.insert(d.image.dose);
    structures.insert(d.structure);
    const auto again = draw_phase_example(setting, 5, 7, i / 4, i);
    EXPECT_EQ(again.image.seed, d.image.seed);
  }
  EXPECT_EQ(pixels.size(), 10u);
  EXPECT_EQ(doses.size(), 40u);
  EXPECT_EQ(structures.size(), 5u);
  EXPECT_THROW(PhaseSetting::named("other"), UsageError);
}

}  // namespace
}  // namespace cryored
