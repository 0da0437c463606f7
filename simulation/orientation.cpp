#include "simulation/orientation.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cryored {
namespace {

constexpr double kDegree = std::numbers::pi / 180;

Rotation from_axis(const std::array<double, 3>& v) {
  const double angle = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  Rotation r;
  if (angle < 1e-12) return r;
  const double x = v[0] / angle, y = v[1] / angle, z = v[2] / angle;
  const double c = std::cos(angle), s = std::sin(angle), t = 1 - c;
  r.m = {{{t * x * x + c, t * x * y - s * z, t * x * z + s * y},
          {t * x * y + s * z, t * y * y + c, t * y * z - s * x},
          {t * x * z - s * y, t * y * z + s * x, t * z * z + c}}};
  return r;
}

}  // namespace

Rotation rotation_from(const EulerAngles& e) {
  const double ca = std::cos(e.rot * kDegree), sa = std::sin(e.rot * kDegree);
  const double cb = std::cos(e.tilt * kDegree), sb = std::sin(e.tilt * kDegree);
  const double cg = std::cos(e.psi * kDegree), sg = std::sin(e.psi * kDegree);
  Rotation r;
  r.m = {{{cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb},
          {-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb},
          {sb * ca, sb * sa, cb}}};
  return r;
}

EulerAngles euler_from(const Rotation& r) {
  EulerAngles e;
  const double sb = std::hypot(r.m[2][0], r.m[2][1]);
  e.tilt = std::atan2(sb, r.m[2][2]) / kDegree;
  if (sb > 1e-9) {
    e.rot = std::atan2(r.m[2][1], r.m[2][0]) / kDegree;
    e.psi = std::atan2(r.m[1][2], -r.m[0][2]) / kDegree;
  } else {  // only rot +- psi is defined at the poles
    e.rot = 0;
    e.psi = r.m[2][2] > 0 ? std::atan2(-r.m[1][0], r.m[0][0]) / kDegree : std::atan2(r.m[1][0], -r.m[0][0]) / kDegree;
  }
  return e;
}

Rotation operator*(const Rotation& a, const Rotation& b) {
  Rotation r;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) r.m[i][j] = a.m[i][0] * b.m[0][j] + a.m[i][1] * b.m[1][j] + a.m[i][2] * b.m[2][j];
  return r;
}

Rotation inverse(const Rotation& a) {
  Rotation r;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) r.m[i][j] = a.m[j][i];
  return r;
}

Rotation random_rotation(std::mt19937_64& rng) {
  std::normal_distribution<double> normal;
  double q[4], n = 0;
  do {
    n = 0;
    for (double& c : q) {
      c = normal(rng);
      n += c * c;
    }
  } while (n < 1e-12);
  n = std::sqrt(n);
  const double w = q[0] / n, x = q[1] / n, y = q[2] / n, z = q[3] / n;
  Rotation r;
  r.m = {{{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
          {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
          {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}}};
  return r;
}

Rotation perturbation(std::mt19937_64& rng, double sigma) {
  std::normal_distribution<double> normal(0, sigma * kDegree);
  const double x = normal(rng), y = normal(rng), z = normal(rng);
  return from_axis({x, y, z});
}

double angle_between(const Rotation& a, const Rotation& b) {
  double squared = 0;  // |A - B|_F = sqrt(8) |sin(angle / 2)|: accurate at small angles, unlike the trace
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) squared += (a.m[i][j] - b.m[i][j]) * (a.m[i][j] - b.m[i][j]);
  return 2 * std::asin(std::min(1.0, std::sqrt(squared / 8))) / kDegree;
}

}  // namespace cryored
