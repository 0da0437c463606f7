#include "simulation/orientation.hpp"

#include <gtest/gtest.h>

namespace cryored {
namespace {

TEST(Orientation, EulerAnglesAndMatricesAreInverse) {
  std::mt19937_64 rng(7);
  for (int i = 0; i < 200; ++i) {
    const Rotation r = random_rotation(rng);
    EXPECT_LT(angle_between(r, rotation_from(euler_from(r))), 1e-6);
  }
  for (const double tilt : {0.0, 180.0}) {
    const Rotation r = rotation_from({30, tilt, 50});
    EXPECT_LT(angle_between(r, rotation_from(euler_from(r))), 1e-6) << "at the pole, tilt " << tilt;
  }
}

TEST(Orientation, TiltIsTheAngleOfTheViewFromZ) {
  const Rotation r = rotation_from({0, 90, 0});
  // The image's view direction in the volume is the third row: tilt 90 with rot 0 looks along x.
  EXPECT_NEAR(r.m[2][0], 1, 1e-12);
  EXPECT_NEAR(r.m[2][2], 0, 1e-12);
}

TEST(Orientation, AngleIsThatOfTheRelativeRotation) {
  std::mt19937_64 rng(3);
  const Rotation r = random_rotation(rng);
  for (const double angle : {0.01, 1.0, 45.0, 179.0})
    EXPECT_NEAR(angle_between(r, r * rotation_from({angle, 0, 0})), angle, 1e-6);
}

TEST(Orientation, RandomRotationsAreUniform) {
  std::mt19937_64 rng(11);
  double z = 0, zz = 0, trace = 0;
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    const Rotation r = random_rotation(rng);
    z += r.m[2][2];
    zz += r.m[2][2] * r.m[2][2];
    trace += r.m[0][0] + r.m[1][1] + r.m[2][2];
  }
  EXPECT_NEAR(z / kCount, 0, 0.02);
  EXPECT_NEAR(zz / kCount, 1.0 / 3, 0.01);
  EXPECT_NEAR(trace / kCount, 0, 0.03);
}

}  // namespace
}  // namespace cryored
