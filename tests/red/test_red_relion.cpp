// RED with lambda 1 and the identity as denoiser against RELION's own program run without a prior
// (tau2 of 1e30 in every shell), at padding 1 and 2, through the resampling; on synthetic B and K and on
// those that RELION itself makes from noisy projections.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "core/reconstruct/reconstruct.hpp"
#include "tests/red/request_fixture.hpp"

namespace cryored {
namespace {

/// The map of relion_external_reconstruct with the given tau2, at `stem`_reference.mrc.
Map relion_map(const Synthetic& s, const std::string& stem, const std::vector<double>& tau2) {
  const std::string star = stem + "_reference.star", result = stem + "_reference.mrc";
  std::ofstream(star) << star_text(stem, s, tau2, result);
  EXPECT_EQ(run_program("relion_external_reconstruct " + star), 0);
  return read_mrc(result);
}

std::vector<double> no_prior(const Synthetic& s) {
  std::vector<double> tau2 = falling_tau2(s);
  for (double& v : tau2) v = v > 0 ? 1e30 : 0;
  return tau2;
}

/// Lambda 1 and a denoiser that multiplies by `factor`, through reconstruct(), the entry that programs use.
Map scaling_map(const std::string& star, double voxel, float factor) {
  const auto request = read_request(star);
  FunctionDenoiser denoiser(voxel, [factor](const Map& map) { return scaled(map, factor); });
  RedOptions options;
  options.pixel_size = 2;
  options.lambda = 1;
  const auto report = reconstruct(request, options, &denoiser);
  EXPECT_TRUE(report.denoiser_ran);
  EXPECT_NEAR(report.denoiser_boxes.voxel_size / voxel, 1, 1e-3);  // not the map's 2 A
  return read_mrc(request.result);
}

void expect_equal_shells(const Map& a, const Map& b, std::size_t last, double tolerance = 1e-3) {
  const auto shells = compare_shells(a, b);
  for (std::size_t i = 1; i <= last; ++i) {
    EXPECT_GT(shells.fsc[i], 1 - tolerance / 10) << "shell " << i;
    EXPECT_NEAR(shells.amplitude[i], 1, tolerance) << "shell " << i;
  }
}

class PaddingsRelion : public ::testing::TestWithParam<int> {};

TEST_P(PaddingsRelion, IdentityIsTheUnregularisedMapOfSyntheticData) {
  REQUIRE_PROGRAM("relion_external_reconstruct");
  const TemporaryFolder folder;
  Synthetic s;
  s.padding = GetParam();
  const std::string star = write_synthetic(folder, s);
  const std::string stem = folder / s.stem;
  const Map reference = relion_map(s, stem, no_prior(s));
  expect_equal_shells(scaling_map(star, 2.15, 1), reference, 14);
  // The prior matters here: RELION's map with it is another one.
  const Map with_prior = relion_map(s, stem, falling_tau2(s));
  EXPECT_LT(compare_shells(with_prior, reference).amplitude[10], 0.8);
  // Halving, which sends half of the map to the denoiser's voxel size and back, gives the mean of both.
  Map mean = reference;
  for (std::size_t i = 0; i < mean.size(); ++i) mean.data[i] = (mean.data[i] + with_prior.data[i]) / 2;
  expect_equal_shells(scaling_map(star, 2.15, 0.5f), mean, 13, 5e-3);
  // And tau2 = 0 does not mean "no prior" to RELION: it adds 1000 / K.
  const Map zero = relion_map(s, stem, std::vector<double>(falling_tau2(s).size(), 0.0));
  EXPECT_LT(compare_shells(zero, reference).amplitude[10], 0.5);
}

TEST_P(PaddingsRelion, IdentityIsTheUnregularisedMapOfRelionsOwnFiles) {
  for (const char* program : {"relion_project", "relion_reconstruct", "relion_external_reconstruct"})
    REQUIRE_PROGRAM(program);
  const TemporaryFolder folder;
  Synthetic s;
  s.padding = GetParam();
  s.box = 40;
  s.current_size = 32;
  s.tau2 = 1e-3;
  s.stem = "run_it004_half1_class001";
  write_mrc(folder / "truth.mrc", blobs(40, 1.3, 3), 2);
  const std::string cd = "cd " + folder.path().string() + " && ";
  ASSERT_EQ(run_program(cd + "relion_project --i truth.mrc --o stack --nr_uniform 250 --angpix 2"), 0);
  MrcHeader header;
  Map stack = read_mrc(folder / "stack.mrcs", &header);
  std::mt19937 engine(5);
  std::normal_distribution<float> noise(0, 6);
  for (float& v : stack.data) v += noise(engine);
  write_mrc(folder / "stack.mrcs", stack, 2, MrcMode::float32, true);
  // It fails in the end, as its STAR lacks the tau2 table, but B and K are written by then.
  run_program(cd + "relion_reconstruct --i stack.star --o " + s.stem + " --pad " + std::to_string(s.padding) +
              " --external_reconstruct --angular_error 3");
  const std::string stem = folder / s.stem;
  ASSERT_TRUE(std::filesystem::exists(stem + "_external_reconstruct_weight.mrc"));
  const std::string star = stem + "_external_reconstruct.star";
  std::ofstream(star) << star_text(stem, s, falling_tau2(s), stem + "_external_reconstruct.mrc");
  const Map reference = relion_map(s, stem, no_prior(s));
  expect_equal_shells(scaling_map(star, 2.3, 1), reference, 16);
  EXPECT_LT(compare_shells(relion_map(s, stem, falling_tau2(s)), reference).amplitude[10], 0.95);
}

INSTANTIATE_TEST_SUITE_P(OneAndTwo, PaddingsRelion, ::testing::Values(1, 2));

}  // namespace
}  // namespace cryored
