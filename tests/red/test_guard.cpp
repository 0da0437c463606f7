// What the guard must see, with denoisers whose invention is known.

#include <gtest/gtest.h>

#include <random>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/guard.hpp"
#include "tests/red/maps.hpp"

namespace cryored {
namespace {

using Mode = GuardOptions::Mode;

std::vector<double> falling_fsc() {  // below 0.5 from shell 5 on
  std::vector<double> fsc(17, 1.0);
  for (std::size_t s = 5; s < fsc.size(); ++s) fsc[s] = 0.4;
  return fsc;
}

GuardReport run(const std::function<Map(const Map&)>& denoiser, const GuardOptions& options) {
  const Map map = blobs(32, 1.2, 3);
  return created_agreement(map, denoiser(map), falling_fsc(), 14, denoiser, options);
}

TEST(Guard, RandomPhasesKeepAmplitudesAndTheLowShells) {
  const Map map = blobs(32, 1.2, 3);
  const Map a = randomise_phases(map, 5, 1, 0), b = randomise_phases(map, 5, 1, 1);
  const auto same = fsc(map, a), between = fsc(a, b);
  const auto before = shell_power(forward(map)), after = shell_power(forward(a));
  for (std::size_t s = 1; s < 16; ++s) {
    EXPECT_NEAR(after[s] / before[s], 1, 1e-3) << s;
    if (s < 5)
      EXPECT_NEAR(same[s], 1, 1e-4) << s;
    else
      EXPECT_LT(std::abs(between[s]), 0.5) << s;  // blobs weigh few coefficients, so that chance is wide
  }
  EXPECT_EQ(randomise_phases(map, 5, 1, 0).data, a.data);
}

TEST(Guard, TheIdentityCreatesNothing) {
  GuardOptions options;
  options.mode = Mode::limit;
  const GuardReport report = run([](const Map& m) { return m; }, options);
  ASSERT_TRUE(report.ran);
  EXPECT_EQ(report.first_shell, 5);
  EXPECT_EQ(report.passes, 2);
  for (double v : report.created) EXPECT_EQ(v, 0);
  for (double v : report.lambda_factor) EXPECT_EQ(v, 1);
  EXPECT_EQ(report.worst_shell, 0);
}

TEST(Guard, ADenoiserThatIgnoresItsInputIsFoundAndLimited) {
  const Map fixed = blobs(32, 1.0, 9);
  GuardOptions options;
  options.mode = Mode::limit;
  const GuardReport report = run([&](const Map&) { return fixed; }, options);
  for (std::size_t s = 0; s < report.created.size(); ++s) {
    const bool seen = s >= 5 && s <= 14;
    EXPECT_NEAR(report.output_fsc[s], seen ? 1 : 0, 1e-6) << s;
    // All that the copies do not share by chance.
    EXPECT_NEAR(report.created[s], seen ? std::min(1.0, 1 - report.input_fsc[s]) : 0, 1e-6) << s;
    EXPECT_NEAR(report.lambda_factor[s],
                seen && report.created[s] > options.bound ? (1 - report.created[s]) / (1 - options.bound) : 1, 1e-9);
  }
  EXPECT_GE(report.worst_shell, 5);
  EXPECT_GT(report.created[static_cast<std::size_t>(report.worst_shell)], 0.9);

  options.mode = Mode::report;
  for (double v : run([&](const Map&) { return fixed; }, options).lambda_factor) EXPECT_EQ(v, 1);
}

TEST(Guard, WeakAgreementCountsLittle) {
  // On the real map all of it passes; on the randomised copies a hundredth of a fixed map is left.
  const Map map = blobs(32, 1.2, 3);
  const auto denoiser = [&](const Map& m) {
    Map out = map;
    if (m.data != map.data)
      for (float& v : out.data) v *= 0.01f;
    return out;
  };
  const GuardReport report = created_agreement(map, denoiser(map), falling_fsc(), 14, denoiser, {});
  for (std::size_t s = 5; s <= 14; ++s) EXPECT_LT(report.created[s], 1e-3) << s;
}

TEST(Guard, SaysWhyItDoesNotRunAndRefusesNonsense) {
  const Map map = blobs(32, 1.2, 3);
  const auto never = [](const Map& m) {
    ADD_FAILURE() << "the denoiser ran";
    return m;
  };
  for (double level : {0.0, 0.95}) {
    const GuardReport report = created_agreement(map, map, std::vector<double>(17, level), 14, never, {});
    EXPECT_FALSE(report.ran);
    EXPECT_FALSE(report.why_not.empty());
  }
  GuardOptions wrong;
  wrong.bound = 1;
  EXPECT_THROW(created_agreement(map, map, falling_fsc(), 14, never, wrong), UsageError);
  wrong = {};
  wrong.fsc_level = 0;
  EXPECT_THROW(created_agreement(map, map, falling_fsc(), 14, never, wrong), UsageError);
}

/// White noise of unit variance.
Map white(unsigned seed) {
  Map map(32, 32, 32);
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  for (float& v : map.data) v = normal(rng);
  return map;
}

Map sum(const Map& a, const Map& b, float share) {
  Map map = a;
  for (std::size_t i = 0; i < map.size(); ++i) map.data[i] += share * b.data[i];
  return map;
}

TEST(KeptNoise, TellsADenoiserThatKeepsNoiseFromOneThatErrsByItself) {
  // Half-maps of a white truth and as much white noise: FSC 0.5 in every shell.
  const Map truth = white(1), noise = white(2), half = sum(truth, noise, 1);
  const std::vector<double> half_map_fsc(17, 0.5);
  const auto kept = [&](const Map& denoised, bool joined = false) {
    return kept_noise(half_map_fsc, fsc(half, denoised), joined).value();
  };
  EXPECT_NEAR(kept(truth), 0, 0.03);
  EXPECT_NEAR(kept(half), 0.5, 1e-6) << "the identity keeps all of it";
  EXPECT_NEAR(kept(sum(truth, noise, 0.5)), 1.5 * 1.5 / (2 * 1.25) - 0.5, 0.03);
  EXPECT_NEAR(kept(sum(truth, white(3), 1)), 0.25 - 0.5, 0.03) << "an error of its own";
  EXPECT_NEAR(kept(truth, true), 0.5 - 2.0 / 3, 0.03) << "of a map joined from both halves";
}

TEST(KeptNoise, LooksAtShellsThatAreHalfKnownOnly) {
  const std::vector<double> fsc{1, 0.95, 0.9, 0.6, 0.3, 0.143, 0.1, 0}, c{1, 1, 1, 0.8, 0.4, 0.2, 1, 1};
  EXPECT_NEAR(kept_noise(fsc, c).value(), (0.64 - 0.6 + 0.16 - 0.3 + 0.04 - 0.143) / 3, 1e-12);
  EXPECT_FALSE(kept_noise({1, 0.95, 0.1, 0}, c)) << "no shell between";
  EXPECT_FALSE(kept_noise(std::vector<double>(8), c)) << "Class3D: no half-maps";
  EXPECT_FALSE(kept_noise({}, {}));
  EXPECT_TRUE(keeps_noise(0.051));
  EXPECT_FALSE(keeps_noise(0.05));
  EXPECT_FALSE(keeps_noise(std::nullopt));
}

}  // namespace
}  // namespace cryored
