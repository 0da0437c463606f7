// Symmetry and pseudo-symmetry of a density, found by turning it onto itself.

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "core/base/error.hpp"
#include "core/fourier/filter.hpp"
#include "core/fourier/shells.hpp"
#include "evaluation/poses.hpp"

namespace cryored {
namespace {

/// The voxels inside the largest sphere about N/2, with the map's mean there removed.
struct Ball {
  long box;
  Map map;
  std::vector<std::array<float, 4>> points;  // x, y, z relative to the centre, value
  double power = 0;

  explicit Ball(const Map& source) : box(static_cast<long>(source.nx)), map(source) {
    const long half = box / 2;
    double sum = 0;
    for (long z = -half + 2; z < half - 1; ++z)
      for (long y = -half + 2; y < half - 1; ++y)
        for (long x = -half + 2; x < half - 1; ++x) {
          if (x * x + y * y + z * z > (half - 2) * (half - 2)) continue;
          const float v = at(x, y, z);
          points.push_back({static_cast<float>(x), static_cast<float>(y), static_cast<float>(z), v});
          sum += v;
        }
    const auto mean = static_cast<float>(sum / static_cast<double>(points.size()));
    for (float& v : map.data) v -= mean;
    for (auto& p : points) {
      p[3] -= mean;
      power += static_cast<double>(p[3]) * p[3];
    }
  }

  float at(long x, long y, long z) const {
    const long half = box / 2;
    return map(static_cast<std::size_t>(x + half), static_cast<std::size_t>(y + half),
               static_cast<std::size_t>(z + half));
  }

  /// Correlation of the map with itself turned by `r`, by trilinear interpolation.
  double correlation(const Rotation& r) const {
    double sum = 0, norm = 0;
    for (const auto& p : points) {
      const double x = r.m[0][0] * p[0] + r.m[0][1] * p[1] + r.m[0][2] * p[2];
      const double y = r.m[1][0] * p[0] + r.m[1][1] * p[1] + r.m[1][2] * p[2];
      const double z = r.m[2][0] * p[0] + r.m[2][1] * p[1] + r.m[2][2] * p[2];
      const double fx = std::floor(x), fy = std::floor(y), fz = std::floor(z);
      const double u = x - fx, v = y - fy, w = z - fz;
      const long i = static_cast<long>(fx), j = static_cast<long>(fy), k = static_cast<long>(fz);
      const double low = (1 - v) * ((1 - u) * at(i, j, k) + u * at(i + 1, j, k)) +
                         v * ((1 - u) * at(i, j + 1, k) + u * at(i + 1, j + 1, k));
      const double high = (1 - v) * ((1 - u) * at(i, j, k + 1) + u * at(i + 1, j, k + 1)) +
                          v * ((1 - u) * at(i, j + 1, k + 1) + u * at(i + 1, j + 1, k + 1));
      const double value = (1 - w) * low + w * high;
      sum += value * p[3];
      norm += value * value;
    }
    return norm > 0 && power > 0 ? sum / std::sqrt(norm * power) : 0;
  }
};

}  // namespace

std::vector<Rotation> self_rotations(const Map& map, double voxel, double resolution, double threshold) {
  if (map.nx != map.ny || map.nx != map.nz || map.nx < 8)
    throw UsageError({"self-rotations", "map", std::to_string(map.nx) + " voxels", "a cubic map of 8 or more", ""});
  // A grid of a third of the resolution is enough for the low-passed map, and fast.
  const double field = static_cast<double>(map.nx) * voxel;
  auto box = static_cast<std::size_t>(std::ceil(field / (resolution / 3)));
  box = std::clamp<std::size_t>(box + box % 2, 16, map.nx);
  const Map smooth = filtered(map, [&](double k) {
    const double s = k / field * resolution;
    return std::exp(-0.5 * s * s);
  });
  const Ball ball(box < map.nx ? fourier_resize(smooth, box) : smooth);

  // Grid of about 15 degrees: directions on a spiral (Fibonacci) times in-plane angles.
  struct Candidate {
    double correlation;
    Rotation rotation;
  };
  std::vector<Candidate> grid;
  constexpr int kDirections = 200, kTurns = 24;
  const double golden = 180 * (3 - std::sqrt(5.0));
  for (int d = 0; d < kDirections; ++d) {
    const double tilt = std::acos(1 - (2 * d + 1.0) / kDirections) * 180 / std::numbers::pi;
    for (int t = 0; t < kTurns; ++t) {
      const Rotation r = rotation_from(EulerAngles{std::fmod(d * golden, 360.0), tilt, t * 360.0 / kTurns});
      grid.push_back({ball.correlation(r), r});
    }
  }
  std::sort(grid.begin(), grid.end(), [](const auto& a, const auto& b) { return a.correlation > b.correlation; });

  std::vector<Rotation> found = {Rotation{}};
  std::vector<Rotation> tried = found;
  std::mt19937_64 rng(1);
  for (const Candidate& candidate : grid) {
    // Turning by half a grid step costs at most this much for a map low-passed as above.
    if (candidate.correlation < threshold - 0.35 || tried.size() > 60) break;
    const auto near = [](const std::vector<Rotation>& list, const Rotation& r, double degrees) {
      return std::any_of(list.begin(), list.end(), [&](const Rotation& o) { return angle_between(o, r) < degrees; });
    };
    if (near(tried, candidate.rotation, 20)) continue;
    tried.push_back(candidate.rotation);
    Candidate best = candidate;
    for (double sigma = 8; sigma > 0.3; sigma *= 0.8)
      for (int k = 0; k < 12; ++k) {
        const Rotation r = perturbation(rng, sigma) * best.rotation;
        const double c = ball.correlation(r);
        if (c > best.correlation) best = {c, r};
      }
    if (best.correlation >= threshold && !near(found, best.rotation, 30)) found.push_back(best.rotation);
  }
  return found;
}

}  // namespace cryored
