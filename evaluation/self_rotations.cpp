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

/// The voxels inside the largest sphere about N/2, if wished with the map's mean there removed.
struct Ball {
  long box;
  Map map;
  std::vector<std::array<float, 4>> points;  // x, y, z relative to the centre, value
  double power = 0;

  explicit Ball(const Map& source, bool remove_mean) : box(static_cast<long>(source.nx)), map(source) {
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
    const float mean = remove_mean ? static_cast<float>(sum / static_cast<double>(points.size())) : 0;
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

  /// The map turned by `r` at one of its points, by trilinear interpolation.
  double turned(const Rotation& r, const std::array<float, 4>& p) const {
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
    return (1 - w) * low + w * high;
  }

  /// Correlation of the map with itself turned by `r`.
  double correlation(const Rotation& r) const {
    double sum = 0, norm = 0;
    for (const auto& p : points) {
      const double value = turned(r, p);
      sum += value * p[3];
      norm += value * value;
    }
    return norm > 0 && power > 0 ? sum / std::sqrt(norm * power) : 0;
  }
};

/// FSC of the map with itself turned by `r`, mean over the shells from 2.5 times `resolution` to `resolution` (30 A,
/// where start maps end, to 12 A).
class TurnedFsc {
 public:
  TurnedFsc(const Map& map, double voxel, double resolution) : ball_(map, false), still_(turned(Rotation{})) {
    const double field = static_cast<double>(map.nx) * voxel;
    first_ = std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(0.4 * field / resolution)));
    last_ = std::clamp<std::size_t>(static_cast<std::size_t>(field / resolution), first_, map.nx / 2);
  }
  double operator()(const Rotation& r) const {
    const std::vector<double> curve = fsc(turned(r), still_);
    double sum = 0;
    for (std::size_t s = first_; s <= last_; ++s) sum += curve[s];
    return sum / static_cast<double>(last_ - first_ + 1);
  }

 private:
  Map turned(const Rotation& r) const {
    Map out(ball_.map.nx, ball_.map.nx, ball_.map.nx);
    out.fill(0);
    const long half = ball_.box / 2;
    for (const auto& p : ball_.points)
      out(static_cast<std::size_t>(static_cast<long>(p[0]) + half),
          static_cast<std::size_t>(static_cast<long>(p[1]) + half),
          static_cast<std::size_t>(static_cast<long>(p[2]) + half)) = static_cast<float>(ball_.turned(r, p));
    return out;
  }

  Ball ball_;  ///< with the mean, whose removal would leave a step at the sphere, which every turn keeps
  Map still_;
  std::size_t first_ = 1, last_ = 1;
};

struct Candidate {
  double correlation;
  Rotation rotation;
};

/// The peak of the correlation that a candidate lies on: steps get smaller only where they no longer lead upwards, so
/// that the foot of the identity's own peak is no turn of its own.
Candidate polished(const Ball& ball, Candidate best, std::mt19937_64& rng) {
  double sigma = 8;
  for (int round = 0; round < 100 && sigma > 0.3; ++round) {
    const double before = best.correlation;
    for (int k = 0; k < 12; ++k) {
      const Rotation r = perturbation(rng, sigma) * best.rotation;
      const double c = ball.correlation(r);
      if (c > best.correlation) best = {c, r};
    }
    if (best.correlation - before < 1e-3) sigma *= 0.7;
  }
  return best;
}

bool near(const std::vector<Rotation>& list, const Rotation& r, double degrees) {
  return std::any_of(list.begin(), list.end(), [&](const Rotation& o) { return angle_between(o, r) < degrees; });
}

}  // namespace

std::vector<Rotation> self_rotations(const Map& map, double voxel, double resolution) {
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
  const Ball ball(box < map.nx ? fourier_resize(smooth, box) : smooth, true);
  const TurnedFsc turned_fsc(smooth, voxel, resolution);

  // Grid of about 15 degrees: directions on a spiral (Fibonacci) times in-plane angles.
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
  std::mt19937_64 rng(1);
  // Correlation, in which the coarsest shells weigh most, only says where to look: any globular molecule reaches 0.8 in
  // turns that a refinement tells apart easily. The FSC decides.
  constexpr double kLook = 0.7, kAgree = 0.5, kApart = 10;
  constexpr std::size_t kMost = 60;
  const auto take = [&](Candidate candidate) {
    candidate = polished(ball, candidate, rng);
    if (candidate.correlation >= kLook && !near(found, candidate.rotation, kApart) &&
        turned_fsc(candidate.rotation) >= kAgree)
      found.push_back(candidate.rotation);
  };
  std::vector<Rotation> tried = found;
  for (const Candidate& candidate : grid) {
    // Turning by half a grid step costs at most this much for a map low-passed as above.
    if (candidate.correlation < kLook - 0.35 || tried.size() > kMost) break;
    if (near(tried, candidate.rotation, 20)) continue;
    tried.push_back(candidate.rotation);
    take(candidate);
  }
  // Turns of a group nearer to each other than the grid is fine are products of those found.
  int products = 0;
  for (std::size_t i = 1; i < found.size(); ++i)
    for (std::size_t j = 1; j <= i && found.size() < kMost; ++j)
      for (const Rotation& r : {found[i] * found[j], found[j] * found[i]})
        if (!near(found, r, kApart) && ++products <= 120) take({ball.correlation(r), r});
  return found;
}

}  // namespace cryored
