// The confidence measured on pairs whose best lambda is known.

#include "training/calibration.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "training/guard_calibration.hpp"

namespace cryored {
namespace {

constexpr std::size_t kBox = 32;
constexpr double kVoxel = 2.5;

Map white(unsigned seed, double sigma) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(sigma));
  Map map(kBox, kBox, kBox);
  for (float& v : map.data) v = normal(rng);
  return map;
}

Map sum(const Map& a, const Map& b) {
  Map out = a;
  for (std::size_t i = 0; i < out.size(); ++i) out.data[i] += b.data[i];
  return out;
}

/// White truth and white noise: the half-map FSC is the same in all shells.
TrainingPair white_pair(unsigned seed, double noise) {
  TrainingPair pair;
  pair.target = white(2 * seed, 1);
  pair.input = sum(pair.target, white(2 * seed + 1, noise));
  pair.cut = 15;
  pair.nominal_resolution = 8;
  pair.half_fsc.assign(kBox / 2 + 1, static_cast<float>(1 / (1 + noise * noise)));
  return pair;
}

/// The first map up to shell `last`, the second beyond.
Map spliced(const Map& low, const Map& high, int last) {
  HalfTransform a = forward(low);
  const HalfTransform b = forward(high);
  for (std::size_t z = 0; z < a.nz; ++z)
    for (std::size_t y = 0; y < a.ny; ++y)
      for (std::size_t x = 0; x < a.nx; ++x)
        if (std::lround(std::hypot(x, signed_frequency(y, a.ny), signed_frequency(z, a.nz))) > last)
          a(x, y, z) = b(x, y, z);
  return inverse(a, kBox);
}

double one_value(const std::vector<ShellSample>& samples) {
  std::vector<const ShellSample*> all;
  for (const auto& s : samples) all.push_back(&s);
  return fit_confidence(all, kVoxel, {false, false, false}).lambda[0];
}

TEST(Calibration, TheErrorIsThatOfTheMap) {
  const TrainingPair pair = white_pair(1, 1.3);
  const Map denoised = white(7, 1);
  const auto samples = shell_samples("X", pair, denoised, kVoxel);
  ASSERT_EQ(samples.size(), 14u);
  EXPECT_NEAR(samples[4].frequency, 5 / (kBox * kVoxel), 1e-12);
  EXPECT_NEAR(samples[4].nominal, 0.125, 1e-12);
  // x by hand for lambda 0.4, and its distance from the truth.
  const double q = samples[4].prior_share(0.4);
  Map x = pair.input, rest(kBox, kBox, kBox);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x.data[i] = static_cast<float>((1 - q) * x.data[i] + 0.4 * q * denoised.data[i]);
    rest.data[i] = x.data[i] - pair.target.data[i];
  }
  const auto error = shell_power(forward(rest)), power = shell_power(forward(pair.target));
  const auto correlation = fsc(x, pair.target);
  for (std::size_t s = 1; s < 15; ++s) {
    EXPECT_NEAR(samples[s - 1].error(0.4), error[s] / power[s], 1e-4) << s;
    EXPECT_NEAR(samples[s - 1].correlation(0.4), correlation[s], 1e-4) << s;
  }
}

TEST(Calibration, OnlyWhatGoesBeyondTheWienerMapCounts) {
  std::vector<ShellSample> perfect, identity, wiener, invented;
  const auto add = [](std::vector<ShellSample>& to, const std::vector<ShellSample>& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  for (unsigned seed = 1; seed <= 4; ++seed) {
    const TrainingPair pair = white_pair(seed, 1.5);
    Map filtered = pair.input;
    for (float& v : filtered.data) v *= pair.half_fsc[0];
    add(perfect, shell_samples("X", pair, pair.target, kVoxel));
    add(identity, shell_samples("X", pair, pair.input, kVoxel));
    add(wiener, shell_samples("X", pair, filtered, kVoxel));
    add(invented, shell_samples("X", pair, white(100 + seed, 1), kVoxel));
  }
  EXPECT_NEAR(one_value(perfect), 1, 0.03);
  EXPECT_NEAR(one_value(identity), 0, 0.03) << "RELION's prior is the best linear filter already";
  EXPECT_NEAR(one_value(wiener), 0, 0.03);
  EXPECT_NEAR(one_value(invented), 0, 0.03);
}

TEST(Calibration, TheTableFindsTheShellsInWhichTheDenoiserIsRight) {
  std::vector<ShellSample> samples;
  std::vector<const ShellSample*> all;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    const TrainingPair pair = white_pair(seed, 1.5);
    const Map denoised = spliced(pair.target, white(100 + seed, 1), 7);  // right up to 80 / 7 A, invented beyond
    for (auto& s : shell_samples("S" + std::to_string(seed), pair, denoised, kVoxel)) samples.push_back(s);
  }
  for (const auto& s : samples) all.push_back(&s);
  const ConfidenceTable table = fit_confidence(all, kVoxel, {true, true, false});
  EXPECT_GT(table.at(4 / 80.0, 0.125, 0.3), 0.9);
  EXPECT_LT(table.at(12 / 80.0, 0.125, 0.3), 0.1);
  EXPECT_EQ(table.at(4 / 80.0, 0, 0.3), 0) << "half-maps that agree nowhere";
  for (double v : table.lambda) EXPECT_TRUE(v >= 0 && v <= 1);

  const auto scores = compare_confidence(samples, kVoxel);
  ASSERT_EQ(scores.size(), 17u);
  const auto error = [&](const std::string& name) {
    for (const auto& s : scores)
      if (s.name == name) return s.all.error;
    ADD_FAILURE() << name;
    return 0.0;
  };
  EXPECT_LT(error("frequency, nominal resolution"), 0.8 * std::min(error("red"), error("gaussian")))
      << "judged on structures that the table was not made from";
  EXPECT_GT(error("one value"), error("frequency"));
}

TEST(Calibration, TheTableFindsTheAgreementAtWhichTheDenoiserIsRight) {
  std::vector<ShellSample> samples;
  std::vector<const ShellSample*> all;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    const TrainingPair clear = white_pair(seed, 0.8), noisy = white_pair(50 + seed, 2.2);  // half-map FSC 0.61, 0.17
    const std::string structure = "S" + std::to_string(seed);
    for (auto& s : shell_samples(structure, clear, clear.target, kVoxel)) samples.push_back(s);
    for (auto& s : shell_samples(structure, noisy, white(100 + seed, 1), kVoxel)) samples.push_back(s);
  }
  for (const auto& s : samples) all.push_back(&s);
  const ConfidenceTable table = fit_confidence(all, kVoxel);
  for (const double frequency : {4 / 80.0, 12 / 80.0}) {
    EXPECT_GT(table.at(frequency, 0.125, 0.61), 0.85);
    EXPECT_LT(table.at(frequency, 0.125, 0.17), 0.2);
  }
}

TEST(Calibration, TheErrorWithAPriorsWeightIsThatOfTheMap) {
  const TrainingPair pair = white_pair(2, 1.3);
  const Map denoised = white(8, 1);
  const auto samples = shell_samples("X", pair, denoised, kVoxel);
  const double fsc = pair.half_fsc[0], w = 1 + 8 * 0.4;
  const double q = w * (1 - fsc) / (fsc + w * (1 - fsc));
  EXPECT_NEAR(samples[4].prior_share(0.4, 9), q, 1e-6);
  EXPECT_NEAR(samples[4].prior_share(0, 9), 1 - fsc, 1e-6) << "lambda 0: RELION's own";
  Map rest(kBox, kBox, kBox);
  for (std::size_t i = 0; i < rest.size(); ++i)
    rest.data[i] = static_cast<float>((1 - q) * pair.input.data[i] + 0.4 * q * denoised.data[i] - pair.target.data[i]);
  const auto error = shell_power(forward(rest)), power = shell_power(forward(pair.target));
  for (std::size_t s = 1; s < 15; ++s) EXPECT_NEAR(samples[s - 1].error(0.4, 9), error[s] / power[s], 1e-4) << s;
}

TEST(Calibration, HalfMapsThatAgreeOnWhatIsWrongAskForAHeavierPrior) {
  // Both halves share an error of the truth's power, so the half-map FSC promises what is not there; the denoiser
  // takes most of it away.
  std::vector<ShellSample> samples;
  std::vector<const ShellSample*> all;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    TrainingPair pair = white_pair(seed, 1);
    pair.half_fsc.assign(pair.half_fsc.size(), 0.9f);
    Map denoised = pair.target;
    const Map error = white(200 + seed, 0.4);
    for (std::size_t i = 0; i < denoised.size(); ++i) denoised.data[i] += error.data[i];
    for (auto& s : shell_samples("S" + std::to_string(seed), pair, denoised, kVoxel)) samples.push_back(s);
  }
  for (const auto& s : samples) all.push_back(&s);
  const ConfidenceTable table = fit_confidence(all, kVoxel, {}, 0.1, 16);
  EXPECT_EQ(table.prior_weight, 16);
  // The best share of f is at lambda 1 / (1 + 0.16) of a denoiser alone; found with its own share of the prior.
  const double best = table.at(5 / 80.0, 0.125, 0.9);
  double sum_low = 0, sum = 0, sum_high = 0;
  for (const auto& s : samples) {
    const double q = s.prior_share(best, 16);
    const auto at = [&](double l) {
      const double a = 1 - q, b = l * q;
      return a * a * s.yy + b * b * s.ff + 2 * (a * b * s.yf - a * s.yt - b * s.ft);
    };
    sum_low += at(best - 0.1), sum += at(best), sum_high += at(std::min(1.0, best + 0.1));
  }
  EXPECT_LT(sum, sum_low);
  EXPECT_LE(sum, sum_high);
  const auto scores = compare_confidence(samples, kVoxel, 0.1, 16);
  const auto error = [&](const std::string& name) {
    for (const auto& s : scores)
      if (s.name.starts_with(name)) return s.all.error;
    ADD_FAILURE() << name;
    return 0.0;
  };
  EXPECT_LT(error("prior weight 16"), 0.5 * error("prior weight 1,"));
  EXPECT_EQ(error("prior weight 16"), error("nominal resolution, half-map FSC"));
}

TEST(Calibration, SourcesCountAlike) {
  std::vector<ShellSample> samples(12);
  for (std::size_t i = 0; i < 3; ++i) samples[i].source = 1;
  balance_sources(samples);
  double sums[2] = {};
  for (const auto& s : samples) sums[s.source] += s.weight;
  EXPECT_NEAR(sums[0], 6, 1e-12);
  EXPECT_NEAR(sums[1], 6, 1e-12);
  EXPECT_THROW(fit_confidence({}, kVoxel), UsageError);
}

TEST(Calibration, TheNominalResolutionEndsWithTheHalfMap) {
  TrainingPair pair = white_pair(1, 1);
  pair.nominal_resolution = 5.1;  // shell 15.7, the last filled one is 14
  for (const auto& sample : shell_samples("X", pair, pair.input, kVoxel))
    ASSERT_NEAR(sample.nominal, 14 / (kBox * kVoxel), 1e-12);
}

TEST(Calibration, AnUnknownResolutionIsLeftOut) {
  TrainingPair pair = white_pair(1, 1);
  pair.nominal_resolution = 0;
  EXPECT_TRUE(shell_samples("X", pair, pair.input, kVoxel).empty());
}

TEST(GuardCalibration, SeparationBoundAndCatchOfKnownSamples) {
  std::vector<GuardSample> samples;
  for (int i = 0; i < 100; ++i) samples.push_back({0.001 * i, 0.9});
  for (int i = 0; i < 40; ++i) samples.push_back({i < 30 ? 0.5 : 0.0005, 0.1});
  const GuardScore score = guard_score(0.8, samples);
  EXPECT_EQ(score.shells, 140u);
  EXPECT_EQ(score.wrong, 40u);
  EXPECT_NEAR(score.bound, 0.095, 1e-12);
  EXPECT_NEAR(score.caught, 0.75, 1e-12);
  EXPECT_NEAR(score.separation, 0.75 + 0.25 * 0.01, 1e-12);
  EXPECT_NEAR(score.created_right, 0.0495, 1e-9);
  EXPECT_EQ(guard_score(0.8, {}).separation, 0.5);
}

TEST(GuardCalibration, SeesADenoiserThatIgnoresItsInput) {
  TrainingPair pair = white_pair(1, 1.5);
  for (std::size_t s = 0; s < 5; ++s) pair.half_fsc[s] = 1;  // below the level from shell 5 on
  const Map fixed = white(50, 1);
  const auto samples = guard_samples(pair, fixed, 0.8, [&](const Map&) { return fixed; });
  ASSERT_EQ(samples.size(), 10u);
  for (const auto& s : samples) {
    EXPECT_GT(s.created, 0.8);
    EXPECT_LT(std::abs(s.correlation), 0.3);
  }
  EXPECT_TRUE(guard_samples(pair, fixed, 0.2, [&](const Map&) { return fixed; }).empty()) << "FSC is above everywhere";
}

}  // namespace
}  // namespace cryored
