// Maps against a truth of known relation, the mask, and the JSON form.
#include "evaluation/score.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/refine_page.hpp"
#include "simulation/projector.hpp"
#include "simulation/truth_mask.hpp"

namespace cryored {
namespace {

/// A ball of radius `radius` A about (x, y, z) A with a rough inside, so that every shell has power.
Map rough_ball(std::size_t box, double voxel, double radius, std::array<double, 3> at) {
  std::mt19937 rng(11);
  std::normal_distribution<float> noise(0, 0.5f);
  Map map(box, box, box);
  const double half = static_cast<double>(box / 2);
  for (std::size_t z = 0; z < box; ++z)
    for (std::size_t y = 0; y < box; ++y)
      for (std::size_t x = 0; x < box; ++x) {
        const double r =
            std::hypot((static_cast<double>(x) - half) * voxel - at[0], (static_cast<double>(y) - half) * voxel - at[1],
                       (static_cast<double>(z) - half) * voxel - at[2]);
        map(x, y, z) = r < radius ? 1 + noise(rng) : 0;
      }
  return map;
}

Truth truth_of(Map map, double voxel) {
  Truth truth;
  truth.mask = truth_mask(map, voxel);
  truth.map = std::move(map);
  truth.pixel_size = voxel;
  truth.self_rotations = {Rotation{}};
  return truth;
}

TEST(TruthMask, ReachesAsFarAsStated) {
  const double voxel = 2;
  const Map mask = truth_mask(rough_ball(64, voxel, 24, {6, -4, 10}), voxel, 5, 10);
  double inside = 0, outside = 0;
  for (std::size_t z = 0; z < 64; ++z)
    for (std::size_t y = 0; y < 64; ++y)
      for (std::size_t x = 0; x < 64; ++x) {
        const float v = mask(x, y, z);
        ASSERT_GE(v, 0);
        ASSERT_LE(v, 1);
        const double r =
            std::hypot((static_cast<double>(x) - 32) * voxel - 6, (static_cast<double>(y) - 32) * voxel + 4,
                       (static_cast<double>(z) - 32) * voxel - 10);
        // The low-passed edge passes 15 % within 7 A outside the ball; 5 A of margin and 10 A of edge follow.
        if (r < 27) inside = std::max(inside, 1.0 - v);
        if (r > 24 + 7 + 5 + 10 + voxel) outside = std::max(outside, static_cast<double>(v));
      }
  EXPECT_EQ(inside, 0);
  EXPECT_EQ(outside, 0);
  Map empty(16, 16, 16);
  empty.fill(0);
  EXPECT_THROW(truth_mask(empty, 1), InputError);
  EXPECT_THROW(truth_mask(empty, 0), UsageError);
}

TEST(ScoreMap, SeesWhereNoiseTakesOver) {
  const double voxel = 2;
  const Truth truth = truth_of(rough_ball(48, voxel, 24, {0, 0, 0}), voxel);
  const MapScore perfect = score_map(truth.map, truth, 1);
  EXPECT_DOUBLE_EQ(perfect.resolution, 2 * voxel);
  // Beyond shell 10 the phases are scrambled: the FSC must fall there, at 96 A / 10.
  HalfTransform f = forward(truth.map);
  Map random(48, 48, 48);
  std::mt19937 rng(5);
  std::normal_distribution<float> noise(0, 0.3f);
  for (float& v : random.data) v = noise(rng);
  const HalfTransform g = forward(random);
  for (std::size_t z = 0; z < 48; ++z)
    for (std::size_t y = 0; y < 48; ++y)
      for (std::size_t x = 0; x < f.nx; ++x) {
        const double k = std::hypot(static_cast<double>(x), static_cast<double>(signed_frequency(y, 48)),
                                    static_cast<double>(signed_frequency(z, 48)));
        if (std::lround(k) > 10) f(x, y, z) = g(x, y, z);
      }
  const MapScore cut = score_map(inverse(f, 48), truth, 1);
  EXPECT_LT(cut.resolution, 96.0 / 10);
  EXPECT_GT(cut.resolution, 96.0 / 11);
  // The mask spreads each coefficient over its neighbours, so the crossing moves a little, no more.
  EXPECT_NEAR(96.0 / cut.resolution_masked, 10.5, 1);
  // Noise outside the mask spoils the FSC without the mask only.
  Map noisy = truth.map;
  for (std::size_t i = 0; i < noisy.size(); ++i)
    if (truth.mask.data[i] == 0) noisy.data[i] += 6 * random.data[i];
  const MapScore masked = score_map(noisy, truth, 1);
  EXPECT_DOUBLE_EQ(masked.resolution_masked, 2 * voxel);
  EXPECT_GT(masked.resolution, 3 * voxel);
  EXPECT_THROW(score_map(Map(8, 8, 8), truth, 1), InputError);
}

// RELION leaves a constant beyond r = N/2 and divides all by sinc^2(r / (N p)), up to forty times in the corners.
TEST(ScoreMap, WithoutAMaskDoesNotSeeRelionsDivision) {
  const double voxel = 2, centre = 24;
  const Truth truth = truth_of(rough_ball(48, voxel, 24, {0, 0, 0}), voxel);
  const float background = 0.05f * *std::max_element(truth.map.data.begin(), truth.map.data.end());
  for (const double padding : {1.0, 2.0}) {
    Map before = truth.map, after = truth.map, seen = truth.map;  // of the map, of its division, of the truth
    for (std::size_t z = 0; z < 48; ++z)
      for (std::size_t y = 0; y < 48; ++y)
        for (std::size_t x = 0; x < 48; ++x) {
          const double r = std::hypot(static_cast<double>(x) - centre, static_cast<double>(y) - centre,
                                      static_cast<double>(z) - centre);
          const double t = std::numbers::pi * r / (48 * padding), sinc = t > 0 ? std::sin(t) / t : 1;
          if (r > centre) before(x, y, z) = background;
          after(x, y, z) = static_cast<float>(before(x, y, z) / (sinc * sinc));
          seen(x, y, z) = static_cast<float>(seen(x, y, z) * sinc * sinc);
        }
    const std::vector<double> expected = fsc(before, seen), score = score_map(after, truth, padding).fsc;
    ASSERT_EQ(score.size(), expected.size());
    for (std::size_t s = 0; s < score.size(); ++s)
      EXPECT_NEAR(score[s], expected[s], 1e-5) << padding << ", shell " << s;
    if (padding == 1) {
      EXPECT_LT(fsc(after, truth.map)[1], 0.5) << "the corners alone would be a resolution of nothing";
      EXPECT_GT(score[1], 0.9);
    }
  }
}

RefinementScore example_score() {
  RefinementScore s;
  s.box = 4;
  s.pixel_size = 2.5;
  s.final_kind = "mean of the half-maps of iteration 1";
  s.final_maps = {"a.mrc", "b.mrc"};
  s.final_map = {{1, 0.75, 0.25}, {1, 0.9, 0.5}, 6.5, std::numeric_limits<double>::infinity()};
  s.final_half_fsc = {1, 0.5, 0.125};
  s.final_half_map_resolution = 5.25;
  s.angle_median = 3.5;
  s.angle_percentile90 = 17;
  s.angle_share_within_10 = 0.625;
  IterationScore it;
  it.iteration = 1;
  it.facts.healpix_order = 2;
  it.facts.half_fsc = {1, 0.25, 0};
  it.half_map_resolution = std::numeric_limits<double>::infinity();
  it.halves = {s.final_map, s.final_map};
  it.mean = s.final_map;
  it.angle_median = 7;
  it.notes[0] = {0.5, 7.25, 1.5};
  it.seconds = 12.5;
  s.iterations = {it};
  return s;
}

TEST(ScoreJson, RoundTripsWithInfinitiesAndMissingNotes) {
  RefinementScore in = example_score();
  in.iterations[0].notes[0].created = {0, 0.25, 0.5};
  in.iterations[0].notes[0].bound = 0.4;
  in.iterations[0].notes[0].kept_noise = -0.125;
  in.denoised = in.final_map;
  in.denoised->resolution = 6.25;
  const std::string text = score_json(in);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  const RefinementScore out = parse_score_json(text, "score.json");
  EXPECT_EQ(out.final_maps, in.final_maps);
  EXPECT_EQ(out.final_map.fsc, in.final_map.fsc);
  EXPECT_DOUBLE_EQ(out.final_map.resolution, 6.5);
  EXPECT_TRUE(std::isinf(out.final_map.resolution_masked));
  EXPECT_DOUBLE_EQ(out.angle_share_within_10, 0.625);
  ASSERT_EQ(out.iterations.size(), 1u);
  EXPECT_TRUE(std::isinf(out.iterations[0].half_map_resolution));
  EXPECT_EQ(out.iterations[0].facts.half_fsc, in.iterations[0].facts.half_fsc);
  EXPECT_DOUBLE_EQ(out.iterations[0].notes[0].lambda.value(), 0.5);
  EXPECT_FALSE(out.iterations[0].notes[1].lambda);
  EXPECT_EQ(out.iterations[0].notes[0].created, in.iterations[0].notes[0].created);
  EXPECT_DOUBLE_EQ(out.iterations[0].notes[0].bound.value(), 0.4);
  EXPECT_DOUBLE_EQ(out.iterations[0].notes[0].kept_noise.value(), -0.125);
  EXPECT_FALSE(out.iterations[0].notes[1].kept_noise);
  EXPECT_TRUE(out.iterations[0].notes[1].created.empty());
  EXPECT_DOUBLE_EQ(out.iterations[0].seconds, 12.5);
  EXPECT_DOUBLE_EQ(out.denoised.value().resolution, 6.25);
  EXPECT_EQ(score_json(out), text);

  // Version 1 compared the corners of the box as they are: what it says without a mask is not read.
  std::string old = text;
  const std::string version = "\"version\": ";
  ASSERT_NE(old.find(version + "3"), std::string::npos) << old.substr(0, 100);
  old[old.find(version) + version.size()] = '2';
  // Version 2 forgave turns that are no symmetry: what it says of angles is not read.
  const RefinementScore of_two = parse_score_json(old, "score.json");
  EXPECT_TRUE(std::isnan(of_two.angle_median));
  EXPECT_TRUE(std::isnan(of_two.iterations[0].angle_share_within_10));
  EXPECT_TRUE(of_two.angle_histogram.empty());
  EXPECT_EQ(of_two.final_map.fsc, in.final_map.fsc);
  EXPECT_NE(score_json(of_two).find("\"median_deg\": null"), std::string::npos);
  EXPECT_TRUE(std::isnan(parse_score_json(score_json(of_two), "score.json").angle_median));
  old[old.find(version) + version.size()] = '1';
  const RefinementScore of_old = parse_score_json(old, "score.json");
  EXPECT_TRUE(of_old.final_map.fsc.empty());
  EXPECT_TRUE(std::isnan(of_old.final_map.resolution));
  EXPECT_TRUE(of_old.iterations[0].mean.fsc.empty());
  EXPECT_EQ(of_old.final_map.fsc_masked, in.final_map.fsc_masked);
  const std::string again = score_json(of_old);
  EXPECT_EQ(again.find("\"fsc\""), std::string::npos);
  EXPECT_EQ(score_json(parse_score_json(again, "score.json")), again);
  EXPECT_THROW(parse_score_json("{}", "x"), InputError);
  EXPECT_THROW(parse_score_json("not json", "x"), InputError);
  std::string other = text;
  other[other.find(version) + version.size()] = '4';
  EXPECT_THROW(parse_score_json(other, "x"), InputError);
}

TEST(ScoreJson, PathsNeedNotBeUtf8) {
  RefinementScore score = example_score();
  score.final_maps[0] = "/data/\xff/a.mrc";
  const RefinementScore back = parse_score_json(score_json(score), "score.json");
  EXPECT_EQ(back.final_maps[0], "/data/\xef\xbf\xbd/a.mrc");
  EXPECT_EQ(back.final_map.fsc, score.final_map.fsc);
}

TEST(OtherHand, HasTheSameProjections) {
  constexpr std::size_t box = 32;
  Truth truth = truth_of(rough_ball(box, 2, 16, {6, -4, 10}), 2);
  const EulerAngles angles[] = {{20, 50, -70}, {130, 160, 10}, {0, 0, 30}};
  for (const EulerAngles& a : angles) truth.poses.push_back({truth.poses.size() + 1, "p.mrcs", a});
  truth.self_rotations.push_back(rotation_from({40, 70, 15}));
  const Truth other = other_hand(truth);
  EXPECT_LT(fsc(other.map, truth.map)[5], 0.9) << "a structure with a hand";
  const SlicePixels pixels = slice_pixels(box, 10);
  const Projector here(truth.map, 2, 10), there(other.map, 2, 10);
  std::vector<std::complex<float>> a(pixels.size()), b(pixels.size());
  for (std::size_t p = 0; p < truth.poses.size(); ++p) {
    here.slice(pixels, rotation_from(truth.poses[p].angles), a.data());
    there.slice(pixels, rotation_from(other.poses[p].angles), b.data());
    double difference = 0, power = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference += std::norm(a[i] - b[i]), power += std::norm(a[i]);
    EXPECT_LT(difference, 1e-6 * power) << p;
  }
  // The other hand of a turn: S A R S = (S A S) (S R S).
  const auto turned = [](const Truth& t) { return rotation_from(t.poses[0].angles) * t.self_rotations[1]; };
  Truth both = truth;
  both.poses[0].angles = euler_from(turned(truth));
  EXPECT_LT(angle_between(rotation_from(other_hand(both).poses[0].angles), turned(other)), 1e-6);
  EXPECT_EQ(other_hand(other).map.data, truth.map.data);
}

TEST(ResultTable, TextIsAlignedAndSaysWhatIsMissing) {
  LabelledCell cell;
  cell.label = "plain";
  cell.result.score = example_score();
  cell.result.end = RunEnd::iteration_limit;
  cell.result.timeline.total_seconds = 90;
  const ReportTable table = result_table({cell});
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0][1], "6.5");
  EXPECT_EQ(table.rows[0][2], "-");
  EXPECT_EQ(table.rows[0].back(), "1.5");
  cell.result.other_hand = cell.result.score;
  cell.result.other_hand->final_map.resolution = 9.25;
  const ReportTable hands = result_table({cell});
  ASSERT_EQ(hands.rows.size(), 2u);
  EXPECT_EQ(hands.rows[1][0], "plain, other hand");
  EXPECT_EQ(hands.rows[1][1], "9.2");
  // The half-maps of a refinement with a denoiser that did not converge are the denoiser's: no polish counts.
  cell.result.other_hand.reset();
  cell.cell.mode = refine_mode("default", "cryored-reconstruct");
  cell.result.score.raw = cell.result.score.final_map;
  cell.result.score.raw->resolution = 7.5;
  cell.result.score.raw->resolution_masked = 7.25;
  cell.result.score.final_map.resolution_masked = 6.25;
  const ReportTable stopped = result_table({cell});
  EXPECT_EQ(stopped.rows[0][1], "7.5");
  EXPECT_EQ(stopped.rows[0][2], "7.2");
  EXPECT_EQ(stopped.rows[0][3], "6.2") << "denoised";
  EXPECT_EQ(stopped.numeric.size(), stopped.columns.size());
  cell.result.score.raw.reset();
  EXPECT_EQ(result_table({cell}).rows[0][1], "-");
  cell.result.end = RunEnd::converged;
  EXPECT_EQ(result_table({cell}).rows[0][1], "6.5");
  EXPECT_EQ(result_table({cell}).rows[0][3], "-") << "RELION's joined map, without a denoiser";
  const std::string text = format_text_table(table);
  std::size_t width = 0;
  for (std::size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    if (width == 0) width = end - at;
    EXPECT_EQ(end - at, width);
  }
  EXPECT_LE(width, 120u);
}

}  // namespace
}  // namespace cryored
