// Scores and verdicts of phase retrieval on images whose score is known.

#include "evaluation/phase_score.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <random>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "evaluation/phase_json.hpp"
#include "evaluation/phase_page.hpp"
#include "evaluation/phase_verdict.hpp"

namespace cryored {
namespace {

constexpr std::size_t kBox = 32;

Map noise(unsigned seed, double sd = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(sd));
  Map map(kBox, kBox, 1);
  for (float& v : map.data) v = normal(random);
  return map;
}

Map blob(double x, double y, double radius) {
  Map map(kBox, kBox, 1);
  for (std::size_t j = 0; j < kBox; ++j)
    for (std::size_t i = 0; i < kBox; ++i)
      map(i, j, 0) = static_cast<float>(
          std::exp(-(std::pow(double(i) - x, 2) + std::pow(double(j) - y, 2)) / (2 * radius * radius)));
  return map;
}

Map sum(const Map& a, const Map& b, float weight) {
  Map out = a;
  for (std::size_t i = 0; i < out.size(); ++i) out.data[i] += weight * b.data[i];
  return out;
}

/// Returns what it is given, or `paint` on whatever it is given.
class Fake : public PhaseMethod {
 public:
  explicit Fake(Map paint = {}) : paint_(std::move(paint)) {}
  void retrieve(ParticleImages& images) override {
    for (std::size_t i = 0; paint_.size() > 0 && i < images.count(); ++i)
      for (std::size_t p = 0; p < paint_.size(); ++p) images.image(i)[p] = 0.01f * images.image(i)[p] + paint_.data[p];
  }
  std::string description() const override { return "fake"; }

 private:
  Map paint_;
};

/// Truths are blobs; exposures the truth with noise.
PhaseScene scene(int views, int exposures, double noise_sd) {
  PhaseScene s{20, 2, 16, kBox, {}};
  unsigned seed = 1;
  for (int v = 0; v < views; ++v) {
    PhaseScene::View view;
    view.truth = sum(blob(15 + v, 16, 1.5), blob(19, 13 + v, 1), 1);
    for (int e = 0; e < exposures; ++e) {
      view.exposures.push_back(sum(view.truth, noise(seed++, noise_sd), 1));
      view.blanks.push_back(noise(seed++, noise_sd));
    }
    s.views.push_back(std::move(view));
  }
  return s;
}

std::vector<Map> others(int views) {
  std::vector<Map> maps;
  for (int v = 0; v < views; ++v) maps.push_back(sum(blob(12, 20 - v, 1.2), blob(20 - v, 20, 1.2), 1));
  return maps;
}

TEST(PhaseScore, FallsThroughAHalfBetweenRings) {
  // Box 32 of 2 A: ring s is 64 / s A.
  EXPECT_DOUBLE_EQ(frc_resolution({1, 1, 0.75, 0.25, 0.9}, 32, 2), 64 / 2.5);
  // It begins below, rises, and falls: that fall counts. Ring 0 says nothing.
  EXPECT_DOUBLE_EQ(frc_resolution({1, 0.1, 0.6, 0.4, 0}, 32, 2), 64 / 2.5);
  EXPECT_DOUBLE_EQ(frc_resolution({0, 0.9, 0.9, 0.5, 0.8}, 32, 2), 64 / 4.0);
  EXPECT_TRUE(std::isinf(frc_resolution({1, 0.4, 0.3, 0.2, -0.1}, 32, 2)));
}

TEST(PhaseScore, AreaIsTheMeanOfTheRings) {
  EXPECT_DOUBLE_EQ(frc_area({1, 1, 0.5, 0, -0.5}), 0.25);
  EXPECT_DOUBLE_EQ(frc_area({1}), 0);
}

TEST(PhaseScore, MedianOfEvenAndOddNumbers) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_DOUBLE_EQ(median({}), 0);
}

TEST(PhaseScore, OutlineCoversTheTruthAndKnowingItBringsNothing) {
  PhaseScene s = scene(2, 4, 0.3);
  const Map outline = outline_mask(s.views[0].truth, s.pixel_size);
  EXPECT_GT(outline(15, 16, 0), 0.95);
  EXPECT_LT(outline(4, 4, 0), 0.01);
  Fake identity;
  const PhaseScore plain = score_phase_method(identity, s, others(2));
  // Noise wiped away outside the particle: more area under the disc, hardly any in the outline.
  for (PhaseScene::View& view : s.views)
    for (Map& image : view.exposures) {
      const Map where = outline_mask(view.truth, s.pixel_size);
      for (std::size_t i = 0; i < image.size(); ++i) image.data[i] *= where.data[i];
    }
  const PhaseScore wiped = score_phase_method(identity, s, others(2));
  const PhaseComparison c = compare_phases(wiped, plain, 4, false);
  EXPECT_GT(c.ratio, 1.2);
  EXPECT_LT(c.outline_ratio, 1 + 0.5 * (c.ratio - 1));
}

TEST(PhaseScore, ContrastIsTheParticlesHeightInTheBackgroundsSd) {
  const Map mask = particle_disc(kBox, 2, 6);
  Map truth(kBox, kBox, 1), image = noise(3, 2);
  truth.fill(0);
  for (std::size_t y = 15; y < 18; ++y)
    for (std::size_t x = 15; x < 18; ++x) {
      truth(x, y, 0) = 1;
      image(x, y, 0) = 7;
    }
  EXPECT_NEAR(image_contrast(image.data.data(), truth, mask), 3.5, 0.3);
  image.fill(5);
  EXPECT_EQ(image_contrast(image.data.data(), truth, mask), 0);
}

TEST(PhaseScore, TheTruthItselfIsPerfectAndNoiseTellsNothing) {
  Fake identity;
  const PhaseScore perfect = score_phase_method(identity, scene(2, 3, 0), others(2));
  EXPECT_EQ(perfect.single_area.size(), 6u);
  EXPECT_EQ(perfect.mean_area.size(), 2u);
  for (const double a : perfect.single_area) EXPECT_NEAR(a, 1, 1e-5);
  for (const double r : perfect.single_resolution) EXPECT_DOUBLE_EQ(r, 4);
  const PhaseScore noisy = score_phase_method(identity, scene(3, 9, 0.5), others(3));
  const PhaseSummary s = summarise({&noisy});
  EXPECT_LT(s.single_area, 0.6);
  EXPECT_GT(s.mean_area, s.single_area + 0.1);
  EXPECT_LT(s.mean_resolution, s.single_resolution);
  EXPECT_NEAR(s.blank_area, 0, 0.1);
  EXPECT_NEAR(s.blank_repeat, 0, 0.1);
  EXPECT_LT(s.wrong_area, 0.15);
  EXPECT_GT(s.blank_power, 0.5);
  EXPECT_EQ(noisy.mean_frc.size(), kBox / 2 + 1);
}

TEST(PhaseScore, AMethodThatPaintsIsFoundOut) {
  // The wrong molecule, whatever the image: it shows in the FRC with that molecule and in blanks that agree.
  const auto wrong = others(2);
  Fake painter(wrong[0]);
  const PhaseScore score = score_phase_method(painter, scene(2, 2, 0.5), wrong);
  const PhaseSummary s = summarise({&score});
  EXPECT_GT(s.blank_repeat, 0.7);  // its highest rings are noise
  EXPECT_GT(s.blank_power, 0.9);
  EXPECT_GT(s.wrong_area, 0.3);
}

TEST(PhaseScore, RefusesTooFewOtherViews) {
  Fake identity;
  EXPECT_THROW(score_phase_method(identity, scene(2, 1, 1), others(1)), UsageError);
}

PhaseScore with(std::vector<double> areas, double resolution) {
  PhaseScore s;
  s.single_area = std::move(areas);
  s.single_resolution.assign(s.single_area.size(), resolution);
  s.mean_area = {0.5};
  s.mean_resolution = {resolution};
  return s;
}

TEST(PhaseVerdict, HoldsMediansAgainstTheGoals) {
  const PhaseScore baseline = with({0.1, 0.2, 0.3, 0.2}, 20);
  const PhaseComparison better = compare_phases(with({0.12, 0.22, 0.32, 0.22}, 19), baseline, 2, false);
  EXPECT_NEAR(better.ratio, 1.1, 1e-12);
  EXPECT_TRUE(better.met());
  EXPECT_DOUBLE_EQ(better.share_better, 1);
  EXPECT_LE(better.low, better.ratio);
  EXPECT_GE(better.high, better.ratio);
  const PhaseComparison little = compare_phases(with({0.1, 0.205, 0.3, 0.205}, 20), baseline, 2, false);
  EXPECT_FALSE(little.area_met);
  EXPECT_TRUE(little.resolution_met);
  const PhaseComparison worse = compare_phases(with({0.2, 0.4, 0.6, 0.4}, 20.1), baseline, 2, false);
  EXPECT_TRUE(worse.area_met);
  EXPECT_FALSE(worse.resolution_met);
  // A baseline that finds nothing at all.
  const PhaseScore nothing = with({-0.01, 0, 0, 0}, std::numeric_limits<double>::infinity());
  EXPECT_TRUE(compare_phases(baseline, nothing, 2, false).met());
  EXPECT_FALSE(compare_phases(nothing, nothing, 2, false).area_met);
  EXPECT_THROW(compare_phases(with({0.1}, 1), baseline, 2, false), UsageError);
  EXPECT_THROW(compare_phases(baseline, baseline, 3, false), UsageError);
}

TEST(PhaseVerdict, SaysPlainlyWhatIsMissed) {
  const PhaseScore baseline = with({0.2, 0.2}, 20);
  PhaseComparison met = compare_phases(with({0.3, 0.3}, 18), baseline, 2, false);
  PhaseComparison missed = compare_phases(with({0.3, 0.3}, 21), baseline, 2, false);
  met.structure = missed.structure = "4AKE";
  missed.baseline = "wiener:10:100";
  missed.dose = 40;
  const auto all_met = verdict_lines("pinn", {met});
  EXPECT_NE(all_met[0].find(": met"), std::string::npos) << all_met[0];
  const auto lines = verdict_lines("pinn", {met, missed});
  ASSERT_EQ(lines.size(), 2u) << "no line on means, of which there are none";
  EXPECT_EQ(verdict_lines("pinn", {}), std::vector<std::string>{"pinn: nothing to compare"});
  EXPECT_NE(lines[0].find("in 2 of 2 comparisons, FRC 0.5 not worse in 1 of 2: NOT MET"), std::string::npos)
      << lines[0];
  EXPECT_EQ(lines[1], "missed: 4AKE, 40 e/A^2, single image, against wiener:10:100: FRC 0.5 at 21.0 A, not 20.0 A");
}

TEST(PhaseJson, KeepsAScoreAndItsPicturesUnderItsKey) {
  const TemporaryFolder temporary;
  const auto folder = temporary.path();
  Fake identity;
  PhaseScore score = score_phase_method(identity, scene(2, 2, 0.5), others(2));
  score.single_resolution[1] = std::numeric_limits<double>::infinity();
  const nlohmann::ordered_json key = {{"dose", 20}};
  EXPECT_FALSE(kept_phase_score(folder, "a", key));
  keep_phase_score(folder, "a", key, score);
  const auto kept = kept_phase_score(folder, "a", key);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->single_area, score.single_area);
  EXPECT_EQ(kept->single_resolution, score.single_resolution);
  EXPECT_EQ(kept->mean_frc, score.mean_frc);
  EXPECT_EQ(kept->single.data, score.single.data);
  EXPECT_EQ(kept->mean.data, score.mean.data);
  EXPECT_FALSE(kept_phase_score(folder, "a", {{"dose", 40}}));
  write_text_atomically(folder / "a.json", "{\"schema\": \"cryored-phase-score\"");
  EXPECT_THROW(kept_phase_score(folder, "a", key), InputError);
}

TEST(PhasePage, HasAllMethodsDosesAndPictures) {
  Fake identity;
  PhaseResults results{{"raw", "tv:3:0.5"}, kBox, 2, 2, 2, {}};
  for (const char* name : {"4AKE", "1XU1"})
    for (const double dose : {20.0, 40.0}) {
      const PhaseScene s = scene(2, 2, 20 / dose);
      PhaseCell cell{name, dose, s.views[0].truth, {}};
      for (int m = 0; m < 2; ++m) cell.scores.push_back(score_phase_method(identity, s, others(2)));
      results.cells.push_back(std::move(cell));
    }
  EXPECT_EQ(phase_table(results).rows.size(), 4u);
  EXPECT_EQ(phase_structure_table(results, true).rows.size(), 4u);
  const GreyImage mosaic = phase_mosaic(results, "1XU1");
  EXPECT_EQ(mosaic.width, 4 * (kBox + 4) - 4);
  EXPECT_EQ(mosaic.height, 3 * (kBox + 4) - 4);
  ReportPage page("test");
  add_phase_sections(page, results);
  const std::string html = page.html();
  for (const char* text : {"observation", "total variation 3:0.5", "true phase", "40 e/A^2, mean of 2", "1XU1"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  std::size_t pictures = 0;
  for (std::size_t at = html.find("<img"); at != std::string::npos; at = html.find("<img", at + 1)) ++pictures;
  EXPECT_EQ(pictures, 2u * 3 * 4);
}

}  // namespace
}  // namespace cryored
