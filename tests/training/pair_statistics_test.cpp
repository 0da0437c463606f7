// Figures of training pairs whose errors are known, and folders of them side by side.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <random>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "training/gaussian_pairs.hpp"
#include "training/pair_page.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBox = 48;
constexpr double kVoxel = 2.5;
constexpr int kCut = 16;

/// A rough ball of 25 A about the centre, so that 10 A of solvent and more lie around it.
Map molecule() {
  std::mt19937 rng(5);
  std::normal_distribution<float> normal;
  Map map(kBox, kBox, kBox);
  for (std::size_t i = 0; i < map.size(); ++i) {
    const auto off = [](std::size_t k) { return static_cast<double>(k) - static_cast<double>(kBox / 2); };
    const double r = std::hypot(off(i % kBox), off(i / kBox % kBox), off(i / (kBox * kBox)));
    map.data[i] = r < 10 ? 1 + 2 * normal(rng) : 0;
  }
  // One lobe away from the centre, so that the particle's sphere holds solvent.
  for (std::size_t z = 22; z < 26; ++z)
    for (std::size_t y = 22; y < 26; ++y)
      for (std::size_t x = 34; x < 38; ++x) map(x, y, z) = 1;
  return low_pass(map, kCut);
}

Map ones() {
  Map map(kBox, kBox, kBox);
  map.fill(1);
  return map;
}

/// factor * target + noise; C as given in all shells up to the last one, then 0.
TrainingPair made_pair(double factor, const Map& noise, float c, std::size_t last) {
  TrainingPair pair;
  pair.voxel = kVoxel;
  pair.cut = kCut;
  pair.target = molecule();
  pair.input = pair.target;
  const Map cut = low_pass(noise, kCut);
  for (std::size_t i = 0; i < cut.size(); ++i)
    pair.input.data[i] = static_cast<float>(factor) * pair.target.data[i] + cut.data[i];
  pair.half_fsc.assign(kBox / 2 + 1, 0);
  for (std::size_t s = 0; s <= last; ++s) pair.half_fsc[s] = c;
  return pair;
}

TEST(PairFigures, NoiseOfTheTruthsSpectrumGivesTheKnownFsc) {
  const double factor = 0.8, share = 0.5;  // noise power over the truth's
  std::vector<double> power = shell_power(forward(molecule()));
  for (double& p : power) p *= share;
  const PairFigures f = pair_figures(made_pair(factor, shaped_noise(power, ones(), 1, 3), 0.6f, 9), 2.5, "1ABC", "x");
  ASSERT_EQ(f.fsc.size(), static_cast<std::size_t>(kCut));
  const double fsc = factor / std::sqrt(factor * factor + share);
  for (std::size_t s = 5; s < f.fsc.size(); ++s) {
    EXPECT_NEAR(f.fsc[s], fsc, 0.12) << s;
    EXPECT_NEAR(f.power[s], std::log10(factor * factor + share), 0.12) << s;
    EXPECT_NEAR(f.amplitude[s], factor, 0.15) << s;
  }
  // Shells 4 (finer than 40 A) to 9, and 10 to 15.
  EXPECT_NEAR(f.fsc_below, fsc, 0.03);
  EXPECT_NEAR(f.fsc_beyond, fsc, 0.02);
  EXPECT_NEAR(f.power_below, std::log10(factor * factor + share), 0.04);
  EXPECT_NEAR(f.power_beyond, std::log10(factor * factor + share), 0.02);
  const double promise = std::sqrt(0.6);
  EXPECT_NEAR(f.promised[5], promise, 1e-6);
  EXPECT_EQ(f.promised[12], 0);
  EXPECT_NEAR(f.promise_below, promise, 1e-6);
  EXPECT_NEAR(f.overstated, promise - f.fsc_below, 1e-6);
  // 0.6 at shell 9 and 0 at shell 10.
  const double shell = 9 + (0.6 - 0.143) / 0.6;
  EXPECT_NEAR(f.nominal, 120 / shell, 1e-4);
  EXPECT_NEAR(f.margin, kCut - shell, 1e-4);
  EXPECT_EQ(f.limited, 0);
}

TEST(PairFigures, HalfMapsWithErrorsOfTheirOwnPromiseWhatIsThere) {
  std::vector<double> power = shell_power(forward(molecule()));
  double share = 0;  // of noise in the truth's power: 0 to 2 over the shells
  for (double& p : power) p *= share += 2.0 / kCut;
  TrainingPair pair = made_pair(1, shaped_noise(power, ones(), 1, 3), 0, 9);
  const TrainingPair other = made_pair(1, shaped_noise(power, ones(), 1, 4), 0, 9);
  const std::vector<double> curve = fsc(pair.input, other.input);
  pair.half_fsc.assign(curve.begin(), curve.end());
  EXPECT_NEAR(pair_figures(pair, kVoxel, "1ABC", "x").overstated, 0, 0.03);
  // Errors that both halves share are promised as truth.
  pair.half_fsc.assign(curve.size(), 1);
  const PairFigures shared = pair_figures(pair, kVoxel, "1ABC", "x");
  EXPECT_NEAR(shared.overstated, 1 - shared.fsc_below, 1e-6);
  EXPECT_GT(shared.overstated, 0.15);
}

TEST(PairFigures, WhiteNoiseHasItsStrengthEverywhereAndNoKurtosis) {
  std::mt19937 rng(11);
  std::normal_distribution<float> normal(0, 0.7f);
  Map noise(kBox, kBox, kBox);
  for (float& v : noise.data) v = normal(rng);
  const TrainingPair pair = made_pair(1, noise, 0.9f, 24);
  const PairFigures f = pair_figures(pair, kVoxel, "1ABC", "x");
  double kept = 0;
  const Map cut = low_pass(noise, kCut);
  for (const float v : cut.data) kept += static_cast<double>(v) * v / static_cast<double>(cut.size());
  EXPECT_NEAR(f.solvent_ratio, 1, 0.05);
  EXPECT_NEAR(f.beyond_ratio, 1, 0.05);
  EXPECT_NEAR(f.kurtosis, 0, 0.25);
  // The unit is the truth's RMS inside: what is asked for at 15 A is within the ball.
  double square = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < pair.target.size(); ++i) {
    const auto off = [](std::size_t k) { return static_cast<double>(k) - static_cast<double>(kBox / 2); };
    if (std::hypot(off(i % kBox), off(i / kBox % kBox), off(i / (kBox * kBox))) > 8) continue;
    square += static_cast<double>(pair.target.data[i]) * pair.target.data[i];
    ++count;
  }
  EXPECT_NEAR(f.rms_beyond * std::sqrt(square / static_cast<double>(count)), std::sqrt(kept), 0.25 * std::sqrt(kept));
  // White noise up to frequency k correlates as 3 (sin u - u cos u) / u^3, u = 2 pi k r: one half at u = 2.4983.
  EXPECT_NEAR(f.correlation, 2.4983 / (2 * std::numbers::pi) * 120 / (kCut - 0.5), 0.5);
  // C never falls, so that the last shell below the cut limits the resolution, whatever stands beyond.
  EXPECT_EQ(f.limited, 1);
  EXPECT_NEAR(f.nominal, 120.0 / (kCut - 1), 1e-9);
}

TEST(PairFigures, AFactorOfTheWholeMapIsNoError) {
  Map noise(kBox, kBox, kBox);
  noise.fill(0);
  const PairFigures f = pair_figures(made_pair(3, noise, 0.5f, 9), kVoxel, "1ABC", "x");
  EXPECT_NEAR(f.coarse_factor, 3, 1e-4);
  EXPECT_NEAR(f.fsc_below, 1, 1e-5);
  EXPECT_NEAR(f.power_below, std::log10(9), 1e-5);
  EXPECT_LT(f.rms_inside, 1e-5);
}

TEST(PairFigures, QuietSolventAndUnevenNoiseShow) {
  // Half as strong away from the molecule.
  Map mask(kBox, kBox, kBox);
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const auto off = [](std::size_t k) { return static_cast<double>(k) - static_cast<double>(kBox / 2); };
    mask.data[i] = std::hypot(off(i % kBox), off(i / kBox % kBox), off(i / (kBox * kBox))) < 11 ? 1.f : 0.f;
  }
  const std::vector<double> white(kBox / 2 + 1, 1e-3);
  const PairFigures quiet = pair_figures(made_pair(1, shaped_noise(white, mask, 0.5, 7), 0.5f, 9), 2.5, "1ABC", "x");
  EXPECT_NEAR(quiet.beyond_ratio, 0.5, 0.06);
  EXPECT_NEAR(quiet.solvent_ratio, 0.5, 0.08);
  // Noise that is strong in one half of the box alone has heavy tails: two strengths a and 5a give 3 * 2 * 626 / 26^2
  // - 3.
  Map uneven = shaped_noise(white, ones(), 1, 7);
  for (std::size_t i = 0; i < uneven.size(); ++i) uneven.data[i] *= i < uneven.size() / 2 ? 1.f : 5.f;
  const PairFigures tails = pair_figures(made_pair(1, uneven, 0.5f, 9), kVoxel, "1ABC", "x");
  EXPECT_NEAR(tails.kurtosis, 3 * 2 * 626.0 / (26 * 26) - 3, 0.8);
}

TEST(PairFigures, RefusesDamagedPairs) {
  Map noise(kBox, kBox, kBox);
  noise.fill(0);
  const auto fails = [](const TrainingPair& pair, double voxel, const std::string& word) {
    try {
      pair_figures(pair, voxel, "1ABC", "shard.pairs, pair 1");
      ADD_FAILURE() << "no error about " << word;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("shard.pairs"), std::string::npos) << error.what();
    }
  };
  const TrainingPair good = made_pair(1, noise, 0.5f, 9);
  fails(good, 0, "--voxel");
  for (const int cut : {-1, 0, 2, 26, 1 << 30}) {
    TrainingPair bad = good;
    bad.cut = cut;
    fails(bad, kVoxel, "cut");
  }
  TrainingPair bad = good;
  bad.input.data[77] = std::numeric_limits<float>::quiet_NaN();
  fails(bad, kVoxel, "input");
  bad = good;
  bad.target.data[77] = std::numeric_limits<float>::infinity();
  fails(bad, kVoxel, "target");
  bad.target.fill(0);
  fails(bad, kVoxel, "zero everywhere");
}

PairFigures figures(const std::string& id, double nominal, double fsc) {
  PairFigures f;
  f.structure_id = id;
  f.nominal = nominal;
  f.fsc_below = fsc;
  f.cut = 4;
  f.power = f.fsc = f.promised = f.amplitude = {1, fsc, fsc / 2};
  return f;
}

std::size_t index_of(const std::string& key) {
  for (std::size_t k = 0; k < pair_figure_kinds().size(); ++k)
    if (pair_figure_kinds()[k].key == key) return k;
  ADD_FAILURE() << key;
  return 0;
}

TEST(PairComparison, MeansSpreadsAndBinsAreTheKnownOnes) {
  const double infinite = std::numeric_limits<double>::infinity(), none = std::numeric_limits<double>::quiet_NaN();
  PairFolder relion{"relion", "r", 48, 2.5, {}};
  // Structures A 0.5 (mean of two pairs), B 0.7, C 0.9: mean 0.7, standard deviation 0.2.
  relion.pairs = {figures("A", 9, 0.4), figures("A", 8, 0.6),        figures("B", 7, 0.7),
                  figures("C", 9, 0.9), figures("A", infinite, 0.1), figures("D", none, 0.1)};
  PairFolder made{"made", "m", 48, 2.5, {}};
  made.pairs = {figures("A", 9, 0.2), figures("A", 6.9, 0.6), figures("E", 8, 0.4)};
  const PairComparison all = compare_pairs({relion, made}, {15, 10, 7}, false);
  ASSERT_EQ(all.bins.size(), 4u);
  EXPECT_EQ(all.bins[0].title(), "worse than 15 A");
  EXPECT_EQ(all.bins[2].title(), "10 to 7 A");
  EXPECT_EQ(all.bins[3].title(), "better than 7 A");
  EXPECT_EQ(all.unstated, (std::vector<std::size_t>{1, 0}));
  EXPECT_EQ(all.bins[0].folders[0].pairs, 1u);
  EXPECT_EQ(all.bins[1].folders[0].pairs, 0u);
  const FolderBin &reference = all.bins[2].folders[0], &other = all.bins[2].folders[1];
  EXPECT_EQ(reference.pairs, 4u);
  EXPECT_EQ(reference.structures, 3);
  const std::size_t k = index_of("fsc_below");
  EXPECT_NEAR(reference.figures[k].mean, 0.7, 1e-12);
  EXPECT_NEAR(reference.figures[k].spread, 0.2, 1e-12);
  EXPECT_EQ(other.pairs, 2u);
  EXPECT_NEAR(other.figures[k].mean, 0.3, 1e-12);
  EXPECT_NEAR(other.away[k], -2, 1e-12);
  EXPECT_NEAR(reference.curves[1][2].mean, 0.35, 1e-12);
  EXPECT_EQ(reference.curves[1][3].structures, 0);
  EXPECT_EQ(all.bins[3].folders[1].pairs, 1u);
  EXPECT_TRUE(std::isnan(all.bins[3].folders[1].away[k])) << "no reference there";

  const PairComparison same = compare_pairs({relion, made}, {15, 10, 7}, true);
  EXPECT_EQ(same.bins[2].folders[1].pairs, 1u);
  EXPECT_NEAR(same.bins[2].folders[1].figures[k].mean, 0.2, 1e-12);

  const ReportTable table = pair_table(all, all.bins[2]);
  ASSERT_EQ(table.columns, (std::vector<std::string>{"figure", "relion", "made"}));
  EXPECT_EQ(table.rows[2 + k][1], "0.700 (0.200)  ");
  EXPECT_EQ(table.rows[2 + k][2], "0.300 (0.141) *");
  const auto json = nlohmann::json::parse(pair_json(all));
  EXPECT_TRUE(json["bins"][0]["worse_bound"].is_null());
  EXPECT_NEAR(json["bins"][2]["folders"][1]["figures"]["fsc_below"]["away_in_spreads"].get<double>(), -2, 1e-12);
  EXPECT_EQ(json["without_half_map_fsc"]["relion"], 1);
  const std::string page = pair_page(all, "cryored evaluate pairs --reference r m");
  EXPECT_NE(page.find("10 to 7 A"), std::string::npos);
  EXPECT_EQ(page.find("15 to 10 A"), std::string::npos) << "a bin without pairs";
  EXPECT_EQ(pair_plots(all, 1).size(), 3u);
}

TEST(PairComparison, RefusesEdgesAndFoldersThatDoNotFit) {
  const PairFolder one{"a", "a", 48, 2.5, {figures("A", 9, 0.4)}}, two{"b", "b", 64, 2.5, {figures("A", 9, 0.4)}},
      three{"c", "c", 48, 3, {figures("A", 9, 0.4)}};
  EXPECT_THROW(compare_pairs({one}, {7, 10}, false), UsageError);
  EXPECT_THROW(compare_pairs({one}, {-1}, false), UsageError);
  EXPECT_THROW(compare_pairs({one, two}, {10}, false), InputError);
  EXPECT_THROW(compare_pairs({one, three}, {10}, false), InputError);
}

TEST(PairComparison, ReadsFoldersOfShards) {
  const TemporaryFolder temporary;
  const fs::path& folder = temporary.path();
  EXPECT_THROW(read_pair_folder((folder / "none").string(), "x", 0), InputError);
  EXPECT_THROW(read_pair_folder(folder.string(), "x", 0), InputError);
  Map noise(kBox, kBox, kBox);
  noise.fill(0.01f);
  const TrainingPair pair = made_pair(1, noise, 0.5f, 9);
  fs::create_directories(folder / "deeper");
  write_pairs((folder / "deeper" / "1ABC.pairs").string(), {pair, pair}, "1ABC");
  std::size_t heard = 0;
  const PairFolder read =
      read_pair_folder(folder.string(), "made", 0, [&](std::size_t, std::size_t all) { heard += all; });
  EXPECT_EQ(heard, 1u);
  ASSERT_EQ(read.pairs.size(), 2u);
  EXPECT_EQ(read.pairs[0].structure_id, "1ABC");
  EXPECT_EQ(read.box, kBox);
  EXPECT_NEAR(read.voxel, kVoxel, 1e-6);
  EXPECT_NEAR(read.pairs[0].fsc_below, 1, 1e-3);  // float16 in the shard

  TrainingPair coarse = pair;
  coarse.voxel = 3;
  write_pairs((folder / "2ABC.pairs").string(), {coarse}, "2ABC");
  EXPECT_THROW(read_pair_folder(folder.string(), "made", 0), InputError);
  std::ofstream(folder / "2ABC.pairs") << "nothing that makes a shard of pairs, but long enough for its head";
  EXPECT_THROW(read_pair_folder(folder.string(), "made", 0), InputError);
}

}  // namespace
}  // namespace cryored
