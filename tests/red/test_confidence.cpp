#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.hpp"
#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/confidence_table.hpp"

namespace cryored {
namespace {

/// 1 up to shell `edge`, then falling by a tenth a shell.
std::vector<double> curve(int box, int edge) {
  std::vector<double> values(static_cast<std::size_t>(box / 2 + 1));
  for (int s = 0; s <= box / 2; ++s)
    values[static_cast<std::size_t>(s)] = s <= edge ? 1.0 : std::max(0.0, 1 - 0.1 * (s - edge));
  return values;
}

TEST(Ramp, ValuesOfThePaper) {
  EXPECT_EQ(confidence_ramp(30), 0);
  EXPECT_EQ(confidence_ramp(10), 0);
  EXPECT_DOUBLE_EQ(confidence_ramp(7.25), 0.5);
  EXPECT_NEAR(confidence_ramp(9.8), 0.2 / 5.5, 1e-12);  // the example of the paper's script
  EXPECT_EQ(confidence_ramp(4.5), 1);
  EXPECT_EQ(confidence_ramp(2), 1);
  EXPECT_EQ(confidence_ramp(INFINITY), 0);
  EXPECT_DOUBLE_EQ(confidence_ramp(12, 15, 9), 0.5);
  EXPECT_THROW(confidence_ramp(7, 4.5, 10), UsageError);
  EXPECT_THROW(confidence_ramp(7, 10, 0), UsageError);
}

TEST(Figures, FirstCrossingIsInterpolated) {
  // 1 - 0.1 (s - 10) meets 0.143 at s = 18.57 and 0.5 at s = 15; shell 19 is the first below 1/7.
  const auto figures = resolution_figures(curve(100, 10), 50, 100, 2.0);
  ASSERT_TRUE(figures.nominal && figures.half && figures.last_above && figures.first_below_seventh);
  EXPECT_NEAR(*figures.nominal_shell, 18.57, 1e-9);
  EXPECT_NEAR(*figures.nominal, 200 / 18.57, 1e-9);
  EXPECT_NEAR(*figures.half, 200 / 15.0, 1e-9);
  EXPECT_NEAR(*figures.last_above, 200 / 18.0, 1e-9);
  EXPECT_EQ(*figures.first_below_seventh, 19);
  EXPECT_FALSE(figures.limited_by_cut);
  EXPECT_NEAR(*resolution_figures(curve(100, 10), 50, 100, 2.0, 0.5).nominal, 200 / 15.0, 1e-9);
}

TEST(Figures, ADipCountsForTheNominalOneOnly) {
  auto values = curve(64, 20);
  values[8] = 0.1;
  const auto figures = resolution_figures(values, 32, 64, 1.0);
  EXPECT_NEAR(*figures.nominal_shell, 7 + (1 - 0.143) / 0.9, 1e-9);
  EXPECT_NEAR(*figures.last_above, 64 / 28.0, 1e-9);
}

TEST(Figures, ZerosBeyondTheCutAreNoCrossing) {
  std::vector<double> values(33, 0.0);
  for (std::size_t s = 0; s <= 12; ++s) values[s] = 0.9;
  const auto figures = resolution_figures(values, 12, 64, 2.0);
  EXPECT_TRUE(figures.limited_by_cut);
  EXPECT_DOUBLE_EQ(*figures.nominal, 128.0 / 12);
  EXPECT_FALSE(figures.first_below_seventh);
}

TEST(Figures, AnAllZeroColumnSaysNothing) {
  std::vector<double> values(33, 0.0);
  EXPECT_FALSE(resolution_figures(values, 32, 64, 1.0).nominal);
  values[0] = 1;
  EXPECT_FALSE(resolution_figures(values, 32, 64, 1.0).nominal);
  values[1] = 0.05;  // halves that do not agree at all: known, and infinitely bad
  const auto figures = resolution_figures(values, 32, 64, 1.0);
  ASSERT_TRUE(figures.nominal);
  EXPECT_GT(*figures.nominal, 64);
  values[0] = 0;
  EXPECT_TRUE(std::isinf(*resolution_figures(values, 32, 64, 1.0).nominal));
  EXPECT_THROW(resolution_figures(values, 32, 64, 1.0, 1.5), UsageError);
}

TEST(UsableShells, NeedTau2TheCutAndTheDenoisersNyquist) {
  ReconstructRequest request;
  request.box = 64;
  request.current_size = 50;
  request.tau2.assign(33, 1.0);
  request.tau2[7] = 0;
  auto usable = usable_shells(request, 1.0, 0);
  ASSERT_EQ(usable.size(), 33u);
  EXPECT_EQ(usable[25], 1);
  EXPECT_EQ(usable[26], 0);
  EXPECT_EQ(usable[7], 0);
  // Voxel 2 A: Nyquist at shell 16 of 64 voxels of 1 A.
  usable = usable_shells(request, 1.0, 2.0);
  EXPECT_EQ(usable[15], 1);
  EXPECT_EQ(usable[16], 0);
}

ConfidenceTable small_table() {
  // Falls with the frequency, rises with the nominal frequency and with the FSC.
  ConfidenceTable t{{0.0, 0.1, 0.2}, {0.05, 0.15}, {0.0, 0.5}, {}};
  for (double f : t.frequency)
    for (double n : t.nominal)
      for (double c : t.half_fsc) t.lambda.push_back(0.5 - 2 * f + 2 * n + 0.2 * c);
  return t;
}

TEST(ConfidenceTable, NodesLinesBetweenThemAndConstantBeyond) {
  const ConfidenceTable t = small_table();
  for (std::size_t f = 0; f < 3; ++f)
    for (std::size_t n = 0; n < 2; ++n)
      for (std::size_t c = 0; c < 2; ++c)
        EXPECT_DOUBLE_EQ(t.at(t.frequency[f], t.nominal[n], t.half_fsc[c]), t.lambda[(f * 2 + n) * 2 + c]);
  EXPECT_NEAR(t.at(0.13, 0.07, 0.2), 0.5 - 0.26 + 0.14 + 0.04, 1e-12) << "linear in each quantity";
  EXPECT_DOUBLE_EQ(t.at(5, 0.1, 0.2), t.at(0.2, 0.1, 0.2));
  EXPECT_DOUBLE_EQ(t.at(0.1, 0, -1), t.at(0.1, 0.05, 0));
  EXPECT_DOUBLE_EQ(constant_confidence(0.3).at(0.1, 0.1, 0.9), 0.3);
}

TEST(ConfidenceTable, MonotoneNodesGiveMonotoneValues) {
  const ConfidenceTable t = small_table();
  double before = 2;
  for (double f = -0.01; f < 0.25; f += 0.001) {
    const double now = t.at(f, 0.11, 0.3);
    EXPECT_LE(now, before + 1e-12) << f;
    before = now;
  }
  before = -1;
  for (double n = 0; n < 0.2; n += 0.001) {
    const double now = t.at(0.07, n, 0.3);
    EXPECT_GE(now, before - 1e-12) << n;
    before = now;
  }
}

TEST(ConfidenceTable, CornersShareOut) {
  for (const double f : {-1.0, 0.0, 0.03, 0.1, 0.19, 0.2, 3.0}) {
    double sum = 0;
    for (const auto& corner : confidence_corners(small_table(), f, 0.09, 0.1)) {
      EXPECT_LT(corner.node, 12u);
      EXPECT_GE(corner.share, 0);
      sum += corner.share;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

}  // namespace
}  // namespace cryored
