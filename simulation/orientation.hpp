#pragma once
// Rotations in RELION's convention: ZYZ Euler angles rot, tilt, psi in degrees; the
// matrix A takes volume coordinates to image coordinates, so an image pixel (x, y)
// of the transform samples the volume's transform at A^-1 (x, y, 0).

#include <array>
#include <random>

namespace cryored {

struct Rotation {
  std::array<std::array<double, 3>, 3> m{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
};

struct EulerAngles {
  double rot = 0, tilt = 0, psi = 0;  ///< degrees
};

Rotation rotation_from(const EulerAngles& angles);
EulerAngles euler_from(const Rotation& rotation);
Rotation operator*(const Rotation& a, const Rotation& b);
Rotation inverse(const Rotation& a);

/// Uniform over SO(3).
Rotation random_rotation(std::mt19937_64& rng);
/// Rotation vector with three independent normal components of `sigma` degrees.
Rotation perturbation(std::mt19937_64& rng, double sigma);
/// Geodesic angle between two rotations, degrees.
double angle_between(const Rotation& a, const Rotation& b);

}  // namespace cryored
