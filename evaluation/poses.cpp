#include "evaluation/poses.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numbers>
#include <utility>

#include "core/base/error.hpp"
#include "core/formats/star.hpp"

namespace cryored {
namespace {

using Quaternion = std::array<double, 4>;

Quaternion quaternion_from(const Rotation& r) {
  // Shepperd's method: the largest of the four components is computed first.
  const auto& m = r.m;
  const double trace = m[0][0] + m[1][1] + m[2][2];
  const std::array<double, 4> size = {trace, m[0][0], m[1][1], m[2][2]};
  const auto best = std::max_element(size.begin(), size.end()) - size.begin();
  Quaternion q{};
  if (best == 0) {
    q = {1 + trace, m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]};
  } else if (best == 1) {
    q = {m[2][1] - m[1][2], 1 + m[0][0] - m[1][1] - m[2][2], m[0][1] + m[1][0], m[0][2] + m[2][0]};
  } else if (best == 2) {
    q = {m[0][2] - m[2][0], m[0][1] + m[1][0], 1 - m[0][0] + m[1][1] - m[2][2], m[1][2] + m[2][1]};
  } else {
    q = {m[1][0] - m[0][1], m[0][2] + m[2][0], m[1][2] + m[2][1], 1 - m[0][0] - m[1][1] + m[2][2]};
  }
  double norm = 0;
  for (const double c : q) norm += c * c;
  for (double& c : q) c /= std::sqrt(norm);
  return q;
}

Rotation rotation_from(const Quaternion& q) {
  const auto [w, x, y, z] = q;
  Rotation r;
  r.m = {{{1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)},
          {2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)},
          {2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)}}};
  return r;
}

/// Weighted mean rotation: the eigenvector of the largest eigenvalue of sum w q q^T
/// (Markley et al. 2007, doi:10.2514/1.28949), which also minimises the chordal distance.
class RotationMean {
 public:
  void add(const Rotation& r, double weight) {
    const Quaternion q = quaternion_from(r);
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 4; ++j) m_[i][j] += weight * q[i] * q[j];
  }
  Rotation mean() const {
    // Squaring the matrix 40 times leaves the projector on the leading eigenvector.
    Matrix a = m_;
    for (int round = 0; round < 40; ++round) {
      Matrix b{};
      double trace = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t j = 0; j < 4; ++j)
          for (std::size_t k = 0; k < 4; ++k) b[i][j] += a[i][k] * a[k][j];
        trace += b[i][i];
      }
      for (auto& row : b)
        for (double& v : row) v /= trace;
      a = b;
    }
    std::size_t row = 0;
    for (std::size_t i = 1; i < 4; ++i)
      if (a[i][i] > a[row][row]) row = i;
    Quaternion q = a[row];
    double norm = 0;
    for (const double c : q) norm += c * c;
    for (double& c : q) c /= std::sqrt(norm);
    return rotation_from(q);
  }

 private:
  using Matrix = std::array<std::array<double, 4>, 4>;
  Matrix m_{};
};

/// Geodesic angle of each A_true S G to A_refined, S chosen per particle; `choice` gets S's index.
std::vector<double> errors_under(const Rotation& global, const std::vector<std::vector<Rotation>>& relative,
                                 std::vector<std::size_t>* choice = nullptr) {
  std::vector<double> out(relative.size());
  if (choice) choice->assign(relative.size(), 0);
  for (std::size_t n = 0; n < relative.size(); ++n) {
    out[n] = 360;
    for (std::size_t s = 0; s < relative[n].size(); ++s) {
      const double e = angle_between(relative[n][s], global);
      if (e < out[n]) {
        out[n] = e;
        if (choice) (*choice)[n] = s;
      }
    }
  }
  return out;
}

constexpr double kScale = 15;  // degrees: errors well beyond it no longer pull on the fit

double robust_cost(const std::vector<double>& errors) {
  double sum = 0;
  for (const double e : errors) sum += e * e / (e * e + kScale * kScale);
  return sum;
}

double quantile(std::vector<double> values, double q) {
  const auto rank = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + rank, values.end());
  return values[static_cast<std::size_t>(rank)];
}

}  // namespace

std::vector<Pose> read_poses(const std::string& star_path) {
  const StarFile star = read_star(star_path);
  const StarTable& table = star.require("particles");
  std::vector<Pose> poses;
  poses.reserve(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string name(table.text(row, "rlnImageName"));
    const std::size_t at = name.find('@');
    Pose pose;
    const std::string number = at == std::string::npos ? std::string() : name.substr(0, at);
    const bool digits =
        !number.empty() && number.size() < 10 && number.find_first_not_of("0123456789") == std::string::npos;
    if (digits) pose.index = std::stoul(number);
    if (pose.index == 0)
      throw InputError({star_path, "rlnImageName in row " + std::to_string(row + 1), "\"" + name + "\"",
                        "<number>@<stack>", "give a particle STAR file whose images lie in stacks"});
    pose.stack = std::filesystem::path(name.substr(at + 1)).filename().string();
    pose.angles = {table.number(row, "rlnAngleRot"), table.number(row, "rlnAngleTilt"),
                   table.number(row, "rlnAnglePsi")};
    pose.x_shift = table.number(row, "rlnOriginXAngst");
    pose.y_shift = table.number(row, "rlnOriginYAngst");
    poses.push_back(std::move(pose));
  }
  return poses;
}

PoseErrors pose_errors(const std::vector<Pose>& refined, const std::vector<Pose>& truth,
                       const std::vector<Rotation>& self_rotations) {
  if (refined.empty()) throw InputError({"angular errors", "", "no refined particle", "one or more", ""});
  if (self_rotations.empty())
    throw UsageError({"angular errors", "self-rotations", "none", "at least the identity", ""});
  std::map<std::pair<std::string, std::size_t>, std::pair<const Pose*, bool>> by_image;
  for (const Pose& pose : truth) by_image[{pose.stack, pose.index}] = {&pose, false};

  // relative[n][s] = (A_true S_s)^-1 A_refined, which equals G where the pose is right.
  std::vector<std::vector<Rotation>> relative;
  relative.reserve(refined.size());
  for (const Pose& pose : refined) {
    const auto found = by_image.find({pose.stack, pose.index});
    const std::string image = std::to_string(pose.index) + "@" + pose.stack;
    if (found == by_image.end())
      throw InputError({"angular errors", "image " + image, "no true pose", "every refined image in the truth", ""});
    if (std::exchange(found->second.second, true))
      throw InputError({"angular errors", "image " + image, "two refined poses", "one", ""});
    const Rotation a_true = rotation_from(found->second.first->angles), a_refined = rotation_from(pose.angles);
    std::vector<Rotation> candidates;
    for (const Rotation& s : self_rotations) candidates.push_back(inverse(a_true * s) * a_refined);
    relative.push_back(std::move(candidates));
  }

  // Starts: the identity and the rotations that single particles suggest; the best few are refined.
  std::vector<Rotation> starts = {Rotation{}};
  const std::size_t step = std::max<std::size_t>(1, relative.size() / 100);
  for (std::size_t n = 0; n < relative.size(); n += step) starts.push_back(relative[n][0]);
  std::vector<std::pair<double, std::size_t>> ranked;
  for (std::size_t i = 0; i < starts.size(); ++i)
    ranked.emplace_back(robust_cost(errors_under(starts[i], relative)), i);
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min<std::size_t>(ranked.size(), 5));

  PoseErrors best;
  double best_cost = std::numeric_limits<double>::infinity();
  for (const auto& [cost, start] : ranked) {
    Rotation global = starts[start];
    std::vector<std::size_t> choice;
    std::vector<double> errors = errors_under(global, relative, &choice);
    for (int round = 0; round < 100; ++round) {
      RotationMean mean;
      for (std::size_t n = 0; n < relative.size(); ++n)
        mean.add(relative[n][choice[n]], 1 / (1 + errors[n] * errors[n] / (kScale * kScale)));
      const Rotation next = mean.mean();
      const double moved = angle_between(next, global);
      global = next;
      errors = errors_under(global, relative, &choice);
      if (moved < 1e-5) break;
    }
    const double final_cost = robust_cost(errors);
    if (final_cost < best_cost) {
      best_cost = final_cost;
      best.degrees = std::move(errors);
      best.global = global;
    }
  }
  best.median = quantile(best.degrees, 0.5);
  best.percentile90 = quantile(best.degrees, 0.9);
  const auto within = std::count_if(best.degrees.begin(), best.degrees.end(), [](double e) { return e < 10; });
  best.share_within_10 = static_cast<double>(within) / static_cast<double>(best.degrees.size());
  return best;
}

}  // namespace cryored
