#include "core/reconstruct/symmetry.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"

namespace cryored {
namespace {

constexpr double pi = 3.14159265358979323846;

[[noreturn]] void refuse(const std::string& text) {
  throw UsageError(Problem{"--symmetry", "", "'" + text + "'",
                           "Cn, Dn, T, O, I, I1, I2, I3 or I4, for a helix followed by ,twist=<degrees>,rise=<A>",
                           "give the group that the job was run with (its --sym)"});
}

/// Turn by 2 pi / fold about an axis.
RotationMatrix turn(int fold, double x, double y, double z) {
  const double length = std::sqrt(x * x + y * y + z * z);
  x /= length, y /= length, z /= length;
  const double angle = 2 * pi / fold, c = std::cos(angle), s = std::sin(angle), t = 1 - c;
  return {c + t * x * x,     t * x * y - s * z, t * x * z + s * y, t * x * y + s * z, c + t * y * y,
          t * y * z - s * x, t * x * z - s * y, t * y * z + s * x, c + t * z * z};
}

RotationMatrix product(const RotationMatrix& a, const RotationMatrix& b) {
  RotationMatrix c{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      for (std::size_t k = 0; k < 3; ++k) c[3 * i + j] += a[3 * i + k] * b[3 * k + j];
  return c;
}

bool same(const RotationMatrix& a, const RotationMatrix& b) {
  for (std::size_t i = 0; i < 9; ++i)
    if (std::abs(a[i] - b[i]) > 1e-6) return false;
  return true;
}

/// All products of the generators.
std::vector<RotationMatrix> closure(const std::vector<RotationMatrix>& generators) {
  std::vector<RotationMatrix> group{{1, 0, 0, 0, 1, 0, 0, 0, 1}};
  for (std::size_t i = 0; i < group.size(); ++i)
    for (const RotationMatrix& generator : generators) {
      const RotationMatrix next = product(generator, group[i]);
      if (std::none_of(group.begin(), group.end(), [&](const RotationMatrix& known) { return same(known, next); }))
        group.push_back(next);
    }
  return group;
}

/// RELION's choice of axes for each group.
std::vector<RotationMatrix> generators(const std::string& name) {
  const double golden = (1 + std::sqrt(5.0)) / 2;
  if (name == "T") return {turn(3, 0, 0, 1), turn(2, 0, std::sqrt(2.0 / 3), std::sqrt(1.0 / 3))};
  if (name == "O") return {turn(3, 1, 1, 1), turn(4, 0, 0, 1)};
  if (name == "I1") return {turn(2, 1, 0, 0), turn(5, golden, 0, -1)};
  if (name == "I2" || name == "I") return {turn(2, 0, 0, 1), turn(5, 1, 0, golden)};
  if (name == "I3") return {turn(2, -1, 0, golden), turn(5, 0, 0, 1)};
  if (name == "I4") return {turn(2, 1, 0, golden), turn(5, 2, 0, 1)};
  if (name.size() < 2 || name.size() > 4 || (name[0] != 'C' && name[0] != 'D')) return {};
  if (!std::all_of(name.begin() + 1, name.end(), [](unsigned char c) { return std::isdigit(c); })) return {};
  const int fold = std::atoi(name.c_str() + 1);
  if (fold < 1) return {};
  if (name[0] == 'C') return {turn(fold, 0, 0, 1)};
  return {turn(fold, 0, 0, 1), turn(2, 1, 0, 0)};
}

double number_after(const std::string& part, const std::string& key, const std::string& text) {
  if (part.compare(0, key.size(), key) != 0) refuse(text);
  char* end = nullptr;
  const double value = std::strtod(part.c_str() + key.size(), &end);
  if (end == part.c_str() + key.size() || *end != '\0' || !std::isfinite(value)) refuse(text);
  return value;
}

/// Turns samples of one line into cubic B-spline coefficients (mirrored ends), stride apart.
void prefilter_line(float* line, std::size_t n, std::size_t stride) {
  if (n < 2) return;
  const float pole = std::sqrt(3.0f) - 2;
  // The first coefficient needs the mirrored past; 24 terms of pole^k are below 1e-13.
  float sum = line[0], power = pole;
  for (std::size_t k = 1; k < std::min<std::size_t>(n, 24); ++k, power *= pole) sum += power * line[k * stride];
  line[0] = sum;
  for (std::size_t i = 1; i < n; ++i) line[i * stride] += pole * line[(i - 1) * stride];
  line[(n - 1) * stride] = pole / (pole * pole - 1) * (line[(n - 1) * stride] + pole * line[(n - 2) * stride]);
  for (std::size_t i = n - 1; i-- > 0;) line[i * stride] = pole * (line[(i + 1) * stride] - line[i * stride]);
}

Map spline_coefficients(Map map) {
  const std::size_t n = map.nx;
  for (float& v : map.data) v *= 216;  // 6 per axis
#pragma omp parallel num_threads(threads())
  {
#pragma omp for schedule(static)
    for (std::size_t z = 0; z < n; ++z) {
      for (std::size_t y = 0; y < n; ++y) prefilter_line(&map(0, y, z), n, 1);
      for (std::size_t x = 0; x < n; ++x) prefilter_line(&map(x, 0, z), n, n);
    }
#pragma omp for schedule(static)
    for (std::size_t y = 0; y < n; ++y)
      for (std::size_t x = 0; x < n; ++x) prefilter_line(&map(x, y, 0), n, n * n);
  }
  return map;
}

/// First tap and the four weights of the cubic B-spline at a position.
inline long spline_weights(double position, float* w) {
  const double base = std::floor(position);
  const float t = static_cast<float>(position - base), u = 1 - t;
  w[0] = u * u * u / 6;
  w[1] = 2.0f / 3 - t * t * (2 - t) / 2;
  w[2] = 2.0f / 3 - u * u * (2 - u) / 2;
  w[3] = t * t * t / 6;
  return static_cast<long>(base) - 1;
}

/// Value at a position that lies at least one voxel inside the box.
float sample(const Map& coefficients, double x, double y, double z) {
  float wx[4], wy[4], wz[4];
  const long n = static_cast<long>(coefficients.nx);
  const long x0 = spline_weights(x, wx), y0 = spline_weights(y, wy), z0 = spline_weights(z, wz);
  // Only a tap of zero weight can lie outside.
  const auto inside = [n](long i) { return static_cast<std::size_t>(std::clamp(i, 0L, n - 1)); };
  const std::size_t xs[4] = {inside(x0), inside(x0 + 1), inside(x0 + 2), inside(x0 + 3)};
  float value = 0;
  for (long k = 0; k < 4; ++k) {
    float plane = 0;
    for (long j = 0; j < 4; ++j) {
      const float* row = &coefficients.data[coefficients.index(0, inside(y0 + j), inside(z0 + k))];
      plane += wy[j] * (wx[0] * row[xs[0]] + wx[1] * row[xs[1]] + wx[2] * row[xs[2]] + wx[3] * row[xs[3]]);
    }
    value += wz[k] * plane;
  }
  return value;
}

/// A: below any subunit's; the number of repeats goes with its inverse.
constexpr double kLeastRise = 0.05;

struct Operator {
  RotationMatrix turn;
  double shift = 0;  ///< along z after the turn, voxels
};

std::vector<Operator> operators_of(const Symmetry& symmetry, std::size_t box, double voxel_size) {
  std::vector<Operator> operators;
  long repeats = 0;
  double rise = 0;
  if (symmetry.helix) {
    if (!(voxel_size > 0))
      throw InputError(Problem{"helical averaging", "voxel size", std::to_string(voxel_size) + " A", "a positive size",
                               "give the pixel size (--pixel-size)"});
    rise = symmetry.helix->rise / voxel_size;
    if (!(std::abs(symmetry.helix->rise) >= kLeastRise))
      throw InputError(Problem{"helical averaging", "rise", std::to_string(symmetry.helix->rise) + " A",
                               std::to_string(kLeastRise) + " A or more, up or down",
                               "give the rise per subunit (--symmetry C1,twist=DEGREES,rise=A)"});
    repeats = static_cast<long>(0.15 * static_cast<double>(box) / std::abs(rise));
  }
  for (long k = -repeats; k <= repeats; ++k) {
    const double angle = symmetry.helix ? static_cast<double>(k) * symmetry.helix->twist * pi / 180 : 0;
    const double c = std::cos(angle), s = std::sin(angle);
    const RotationMatrix step{c, -s, 0, s, c, 0, 0, 0, 1};
    for (const RotationMatrix& rotation : symmetry.rotations)
      operators.push_back({product(step, rotation), static_cast<double>(k) * rise});
  }
  return operators;
}

}  // namespace

Symmetry parse_symmetry(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  if (parts.empty() || (parts.size() != 1 && parts.size() != 3)) refuse(text);
  std::string name = parts[0];
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const auto made_by = generators(name);
  if (made_by.empty()) refuse(text);
  Symmetry symmetry;
  symmetry.name = name;
  symmetry.rotations = closure(made_by);
  if (parts.size() == 3) {
    HelicalSymmetry helix;
    helix.twist = number_after(parts[1], "twist=", text);
    helix.rise = number_after(parts[2], "rise=", text);
    if (helix.rise == 0) refuse(text);
    symmetry.helix = helix;
    symmetry.name += "," + parts[1] + "," + parts[2];
  }
  return symmetry;
}

Map symmetrise(const Map& map, const Symmetry& symmetry, double voxel_size) {
  if (map.nx != map.ny || map.nx != map.nz)
    throw InputError(Problem{"symmetry", "dimensions",
                             std::to_string(map.nx) + " x " + std::to_string(map.ny) + " x " + std::to_string(map.nz),
                             "a cubic map", "images have no point group here; use C1"});
  if (symmetry.trivial() || map.nx < 8) return map;
  const auto operators = operators_of(symmetry, map.nx, voxel_size);
  const Map coefficients = spline_coefficients(map);
  const double centre = static_cast<double>(map.nx / 2), radius = centre - 2, limit = radius * radius;
  Map result = map;
#pragma omp parallel for num_threads(threads()) schedule(dynamic, 1)
  for (std::size_t z = 0; z < map.nz; ++z)
    for (std::size_t y = 0; y < map.ny; ++y)
      for (std::size_t x = 0; x < map.nx; ++x) {
        const double dx = static_cast<double>(x) - centre, dy = static_cast<double>(y) - centre;
        const double dz = static_cast<double>(z) - centre;
        if (dx * dx + dy * dy + dz * dz > limit) continue;
        double sum = 0;
        int count = 0;
        for (const Operator& op : operators) {
          const RotationMatrix& r = op.turn;
          const double px = r[0] * dx + r[1] * dy + r[2] * dz, py = r[3] * dx + r[4] * dy + r[5] * dz;
          const double pz = r[6] * dx + r[7] * dy + r[8] * dz + op.shift;
          if (px * px + py * py + pz * pz > limit + 1e-6) continue;
          sum += static_cast<double>(sample(coefficients, px + centre, py + centre, pz + centre));
          ++count;
        }
        result(x, y, z) = static_cast<float>(sum / count);
      }
  return result;
}

}  // namespace cryored
