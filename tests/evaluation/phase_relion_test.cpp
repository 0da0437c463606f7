// Scoring of 2D classes, and poses put on raw images, on files written here as RELION writes them.

#include "evaluation/phase_relion.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "simulation/imager.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

constexpr std::size_t kBox = 32;
constexpr double kPixel = 2;

/// Blobs without any symmetry.
Map molecule() {
  const double at[][4] = {{16, 16, 16, 2}, {20, 15, 17, 1.5}, {14, 21, 13, 1.5}, {13, 13, 20, 1.2}, {18, 19, 11, 1.2}};
  Map map(kBox, kBox, kBox);
  for (std::size_t z = 0; z < kBox; ++z)
    for (std::size_t y = 0; y < kBox; ++y)
      for (std::size_t x = 0; x < kBox; ++x) {
        double v = 0;
        for (const auto& b : at)
          v += std::exp(
              -(std::pow(double(x) - b[0], 2) + std::pow(double(y) - b[1], 2) + std::pow(double(z) - b[2], 2)) /
              (2 * b[3] * b[3]));
        map(x, y, z) = static_cast<float>(v);
      }
  return map;
}

struct Found {
  long number;
  EulerAngles truth;   ///< of the particle
  double x, y;         ///< true centre, A
  double psi, ox, oy;  ///< RELION's
  int group;
};

StarFile particles(const std::vector<Found>& all, const std::string& stack) {
  StarTable table;
  table.name = "particles";
  table.labels = {"rlnImageName", "rlnClassNumber", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"};
  for (const Found& f : all)
    table.add_row({std::to_string(f.number) + "@somewhere/" + stack, std::to_string(f.group), std::to_string(f.psi),
                   std::to_string(f.ox), std::to_string(f.oy)});
  StarFile star;
  star.tables = {table};
  return star;
}

TEST(Class2d, RightPosesGiveTheTrueAverageAndWrongOnesDoNot) {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  Truth truth;
  truth.map = molecule();
  truth.pixel_size = kPixel;
  // Class 1: one view turned and moved; class 2: another view twice, and a stranger.
  const EulerAngles a{40, 70, 0}, b{-100, 30, 0}, c{150, 120, 0};
  std::vector<Found> all;
  long number = 0;
  for (const double psi : {0.0, 50.0, -130.0}) all.push_back({++number, {a.rot, a.tilt, psi}, 3, -4, psi, -3, 4, 1});
  for (const double psi : {20.0, 100.0}) all.push_back({++number, {b.rot, b.tilt, psi}, 0, 2, psi, 0, -2, 2});
  all.push_back({++number, {c.rot, c.tilt, 10}, 0, 0, 10, 0, 0, 2});
  for (const Found& f : all)
    truth.poses.push_back({static_cast<std::size_t>(f.number), "raw.mrcs", f.truth, -f.x, -f.y});
  Imager imager(truth.map, kPixel);
  Map averages(kBox, kBox, 3);
  averages.fill(0);
  Map view(kBox, kBox, 1);
  const std::size_t area = kBox * kBox;
  imager.image({rotation_from(a), 0, 0, nullptr}, view.data.data());
  std::copy_n(view.data.begin(), area, averages.data.begin());
  // The second average shows the view of the stranger alone.
  imager.image({rotation_from(c), 0, 0, nullptr}, view.data.data());
  std::copy_n(view.data.begin(), area, averages.data.begin() + static_cast<std::ptrdiff_t>(area));
  write_mrc(folder / "run_it003_classes.mrcs", averages, kPixel, MrcMode::float32, true);
  write_star(folder / "run_it003_data.star", particles(all, "phases_1.mrcs"));
  const PhaseVariant variant{"x", "", "phases_1.mrcs", {}};
  const Class2dScore score = score_class2d(folder, 3, variant, truth);
  ASSERT_EQ(score.classes.size(), 2u);
  std::size_t good = score.classes[0].area > score.classes[1].area ? 0 : 1;
  EXPECT_GT(score.classes[good].area, 0.85);  // rings at Nyquist are empty, and turning interpolates
  EXPECT_LT(score.classes[good].resolution, 5);
  EXPECT_LT(score.classes[1 - good].area, 0.75);  // all are blobs
  EXPECT_LT(score.spread, 0.1);                   // the middle particle of five alike and one stranger

  // A psi that is wrong tears the first class apart.
  for (Found& f : all) f.psi = f.group == 1 ? 60.0 * static_cast<double>(f.number) : f.psi;
  write_star(folder / "run_it004_data.star", particles(all, "phases_1.mrcs"));
  fs::copy(folder / "run_it003_classes.mrcs", folder / "run_it004_classes.mrcs");
  const Class2dScore torn = score_class2d(folder, 4, variant, truth);
  EXPECT_GT(torn.spread, score.spread);
  EXPECT_LT(torn.area, score.area);
  EXPECT_THROW(score_class2d(folder, 3, {"x", "", "other.mrcs", {}}, truth), InputError);
}

TEST(RawPoses, GoToTheRawImagesByTheirNumbers) {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  const auto table = [](const std::string& name, const std::vector<std::string>& labels,
                        const std::vector<std::vector<std::string>>& rows) {
    StarTable t;
    t.name = name;
    t.labels = labels;
    for (const auto& row : rows) t.add_row(row);
    return t;
  };
  StarFile raw, refined;
  raw.tables = {table("optics", {"rlnOpticsGroup", "rlnVoltage"}, {{"1", "300"}}),
                table("particles", {"rlnImageName", "rlnDefocusU", "rlnOpticsGroup"},
                      {{"1@raw.mrcs", "10000", "1"}, {"2@raw.mrcs", "11000", "1"}, {"3@raw.mrcs", "12000", "1"}})};
  const std::vector<std::string> labels = {"rlnImageName",    "rlnAngleRot",     "rlnAngleTilt",   "rlnAnglePsi",
                                           "rlnOriginXAngst", "rlnOriginYAngst", "rlnRandomSubset"};
  refined.tables = {table("optics", {"rlnOpticsGroup", "rlnCtfDataAreCtfCorrected"}, {{"1", "1"}}),
                    table("particles", labels,
                          {{"3@p/phases_1.mrcs", "10", "20", "30", "1.5", "2.5", "2"},
                           {"1@p/phases_1.mrcs", "40", "50", "60", "-1", "-2", "1"}})};
  write_star(folder / "raw.star", raw);
  write_star(folder / "refined.star", refined);
  write_raw_poses(folder / "refined.star", folder / "raw.star", folder / "out.star");
  const StarFile out = read_star(folder / "out.star");
  const StarTable& rows = out.require("particles");
  ASSERT_EQ(rows.rows(), 2u);
  EXPECT_EQ(rows.text(0, "rlnImageName"), "1@raw.mrcs");
  EXPECT_EQ(rows.number(0, "rlnAngleTilt"), 50);
  EXPECT_EQ(rows.text(1, "rlnImageName"), "3@raw.mrcs");
  EXPECT_EQ(rows.number(1, "rlnDefocusU"), 12000);
  EXPECT_EQ(rows.number(1, "rlnOriginYAngst"), 2.5);
  EXPECT_EQ(rows.integer(1, "rlnRandomSubset"), 2);
  EXPECT_FALSE(out.require("optics").has("rlnCtfDataAreCtfCorrected"));
  refined.tables[1].set(0, "rlnImageName", "7@p/phases_1.mrcs");
  write_star(folder / "refined.star", refined);
  EXPECT_THROW(write_raw_poses(folder / "refined.star", folder / "raw.star", folder / "out.star"), InputError);
}

}  // namespace
}  // namespace cryored
