// Angular errors: known rotations go in, the same angles must come out.
#include "evaluation/poses.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numbers>
#include <random>

#include "core/base/error.hpp"

namespace cryored {
namespace {

std::vector<Pose> random_poses(std::size_t count, unsigned seed) {
  std::mt19937_64 rng(seed);
  std::vector<Pose> poses;
  for (std::size_t n = 0; n < count; ++n) poses.push_back({n + 1, "p.mrcs", euler_from(random_rotation(rng)), 0, 0});
  return poses;
}

Pose turned(const Pose& pose, const Rotation& left, const Rotation& right) {
  Pose out = pose;
  out.angles = euler_from(left * rotation_from(pose.angles) * right);
  return out;
}

TEST(PoseErrors, FindsTheGlobalRotationAndEachAngle) {
  std::mt19937_64 rng(3);
  const std::vector<Pose> truth = random_poses(400, 1);
  const Rotation global = rotation_from(EulerAngles{70, 130, -20});
  std::vector<Pose> refined;
  std::vector<double> expected;
  for (const Pose& pose : truth) {
    const Rotation error = perturbation(rng, 3);
    expected.push_back(angle_between(error, Rotation{}));
    refined.push_back(turned(pose, error, global));
  }
  const PoseErrors errors = pose_errors(refined, truth);
  EXPECT_LT(angle_between(errors.global, global), 0.6);
  double difference = 0;
  for (std::size_t n = 0; n < expected.size(); ++n) difference += std::abs(errors.degrees[n] - expected[n]);
  EXPECT_LT(difference / 400, 0.3);
  EXPECT_NEAR(errors.median, 4.6, 0.5);        // median of the 3D Maxwell distribution: 1.538 sigma
  EXPECT_NEAR(errors.percentile90, 7.5, 0.7);  // 2.500 sigma
  EXPECT_GT(errors.share_within_10, 0.97);
}

TEST(PoseErrors, ManyWrongOrientationsDoNotMoveTheFit) {
  std::mt19937_64 rng(5);
  const std::vector<Pose> truth = random_poses(500, 2);
  const Rotation global = rotation_from(EulerAngles{-40, 12, 100});
  std::vector<Pose> refined;
  for (std::size_t n = 0; n < truth.size(); ++n)
    refined.push_back(n % 2 ? turned(truth[n], perturbation(rng, 1), global)
                            : turned(truth[n], random_rotation(rng), global));
  const PoseErrors errors = pose_errors(refined, truth);
  EXPECT_LT(angle_between(errors.global, global), 0.5);
  EXPECT_NEAR(errors.share_within_10, 0.5, 0.02);
}

TEST(PoseErrors, SelfRotationsAreNoErrors) {
  std::mt19937_64 rng(7);
  const std::vector<Pose> truth = random_poses(300, 3);
  const Rotation twofold = rotation_from(EulerAngles{30, 180, 110});  // about an axis in the xy plane
  ASSERT_LT(angle_between(twofold * twofold, Rotation{}), 1e-6);
  const Rotation global = rotation_from(EulerAngles{5, 3, -4});
  std::vector<Pose> refined;
  for (std::size_t n = 0; n < truth.size(); ++n)
    refined.push_back(turned(truth[n], perturbation(rng, 1), n % 3 ? global : twofold * global));
  EXPECT_LT(pose_errors(refined, truth).share_within_10, 0.7);
  const PoseErrors folded = pose_errors(refined, truth, {Rotation{}, twofold});
  EXPECT_EQ(folded.share_within_10, 1.0);
  EXPECT_LT(folded.median, 2.5);
  // Which of the two frames was fitted is arbitrary; it must be one of them.
  EXPECT_LT(std::min(angle_between(folded.global, global), angle_between(folded.global, twofold * global)), 0.5);
}

TEST(PoseErrors, RefusesUnmatchedParticles) {
  std::vector<Pose> truth = random_poses(3, 1), refined = truth;
  refined[2].index = 77;
  EXPECT_THROW(pose_errors(refined, truth), InputError);
  refined = truth;
  refined[2].index = 1;
  EXPECT_THROW(pose_errors(refined, truth), InputError);
  EXPECT_THROW(pose_errors({}, truth), InputError);
  EXPECT_THROW(pose_errors(truth, truth, {}), UsageError);
}

TEST(ReadPoses, TakesImageNamesApart) {
  const std::string path = testing::TempDir() + "/poses.star";
  const std::string head =
      "data_particles\n\nloop_\n_rlnImageName #1\n_rlnAngleRot #2\n_rlnAngleTilt #3\n_rlnAnglePsi #4\n"
      "_rlnOriginXAngst #5\n_rlnOriginYAngst #6\n";
  std::ofstream(path) << head << "000012@/some/where/particles.mrcs 10 20 30 -1.5 2.5\n";
  const std::vector<Pose> poses = read_poses(path);
  ASSERT_EQ(poses.size(), 1u);
  EXPECT_EQ(poses[0].index, 12u);
  EXPECT_EQ(poses[0].stack, "particles.mrcs");
  EXPECT_DOUBLE_EQ(poses[0].angles.tilt, 20);
  EXPECT_DOUBLE_EQ(poses[0].x_shift, -1.5);
  for (const char* bad : {"single.mrc", "0@p.mrcs", "1x@p.mrcs", "@p.mrcs", "-1@p.mrcs"}) {
    std::ofstream(path) << head << bad << " 10 20 30 0 0\n";
    EXPECT_THROW(read_poses(path), InputError) << bad;
  }
}

/// Gaussian blobs (sigma 6 A) of the given weights at points in A.
Map blobs(std::size_t box, double voxel, const std::vector<std::array<double, 4>>& points) {
  Map map(box, box, box);
  map.fill(0);
  const double half = static_cast<double>(box / 2);
  for (std::size_t z = 0; z < box; ++z)
    for (std::size_t y = 0; y < box; ++y)
      for (std::size_t x = 0; x < box; ++x)
        for (const auto& p : points) {
          const double dx = (static_cast<double>(x) - half) * voxel - p[0],
                       dy = (static_cast<double>(y) - half) * voxel - p[1],
                       dz = (static_cast<double>(z) - half) * voxel - p[2];
          map(x, y, z) += static_cast<float>(p[3] * std::exp(-(dx * dx + dy * dy + dz * dz) / 72));
        }
  return map;
}

TEST(SelfRotations, FindsATwofoldAboutAnyAxisAndNothingElse) {
  const std::vector<std::array<double, 4>> half = {
      {28, 5, 3, 1}, {-6, 24, 14, 1.4}, {4, -8, 31, 0.8}, {17, 15, -12, 1}};
  const Rotation axis = rotation_from(EulerAngles{25, 50, 10});
  Rotation twofold;
  twofold.m = {{{-1, 0, 0}, {0, -1, 0}, {0, 0, 1}}};
  twofold = inverse(axis) * twofold * axis;
  std::vector<std::array<double, 4>> both = half;
  for (const auto& p : half) {
    std::array<double, 4> q{0, 0, 0, p[3]};
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) q[i] += twofold.m[i][j] * p[j];
    both.push_back(q);
  }
  const auto found = self_rotations(blobs(40, 2.5, both), 2.5, 12);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_LT(angle_between(found[0], Rotation{}), 1e-9);
  EXPECT_LT(angle_between(found[1], twofold), 3);
  EXPECT_EQ(self_rotations(blobs(40, 2.5, half), 2.5, 12).size(), 1u);
}

// A ring of twelve: turns of 30 degrees are nearer to each other than the search is fine in all directions.
TEST(SelfRotations, FindsAllTurnsOfARing) {
  std::vector<std::array<double, 4>> ring;
  for (int k = 0; k < 12; ++k) {
    const double a = k * std::numbers::pi / 6;
    for (const auto& [r, turn, z, weight] : {std::array<double, 4>{38, 0, 2, 1}, {27, 0.2, 14, 1.3}})
      ring.push_back({r * std::cos(a + turn), r * std::sin(a + turn), z, weight});
  }
  const auto found = self_rotations(blobs(40, 2.5, ring), 2.5, 12);
  EXPECT_EQ(found.size(), 12u);
  for (const Rotation& r : found) {
    EXPECT_GT(r.m[2][2], 0.99) << "about z";
    EXPECT_LT(std::abs(std::remainder(angle_between(r, Rotation{}), 30)), 3);
  }
}

// Any globular molecule correlates with itself turned, as long as nobody looks beyond its shape.
TEST(SelfRotations, AShapeAloneIsNoSymmetry) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal(0, 12);
  std::vector<std::array<double, 4>> globule;
  for (int i = 0; i < 150; ++i) globule.push_back({normal(random), normal(random), normal(random), 1});
  EXPECT_EQ(self_rotations(blobs(40, 2.5, globule), 2.5, 12).size(), 1u);
}

}  // namespace
}  // namespace cryored
