#include "core/fourier/shells.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/base/error.hpp"
#include "core/fourier/filter.hpp"

namespace cryored {
namespace {

constexpr double pi = 3.14159265358979323846;

std::string dimensions(std::size_t nx, std::size_t ny, std::size_t nz) {
  return std::to_string(nx) + " x " + std::to_string(ny) + " x " + std::to_string(nz);
}

void check_cubic(const Map& map, const char* where) {
  if (map.nx > 0 && map.nx == map.ny && (map.nz == map.nx || map.nz == 1)) return;
  throw InputError(Problem{where, "dimensions", dimensions(map.nx, map.ny, map.nz), "a cubic map, or a square image",
                           "crop or pad the map to a cube"});
}

/// Box of the real array behind a half transform whose y axis carries its length.
std::size_t half_box(const HalfTransform& a, const char* where) {
  if (a.ny > 0 && a.nx == a.ny / 2 + 1 && (a.nz == a.ny || a.nz == 1)) return a.ny;
  throw InputError(Problem{where, "dimensions", dimensions(a.nx, a.ny, a.nz),
                           "the half transform of a cubic map or square image (N/2+1 x N x N)", ""});
}

std::size_t common_box(const HalfTransform& a, const HalfTransform& b) {
  const std::size_t box = half_box(a, "FSC");
  if (b.nx != a.nx || b.ny != a.ny || b.nz != a.nz)
    throw InputError(Problem{"FSC", "dimensions", dimensions(b.nx, b.ny, b.nz),
                             "the first map's, " + dimensions(a.nx, a.ny, a.nz), "give two maps of equal box"});
  return box;
}

/// Calls visit(shell, index) for every stored coefficient of shells 0 .. N/2.
template <typename Visit>
void for_each_in_shells(const HalfTransform& a, Visit visit) {
  const std::size_t last = a.ny / 2;
  for (std::size_t z = 0; z < a.nz; ++z) {
    const double kz = static_cast<double>(signed_frequency(z, a.nz));
    for (std::size_t y = 0; y < a.ny; ++y) {
      const double ky = static_cast<double>(signed_frequency(y, a.ny));
      for (std::size_t x = 0; x < a.nx; ++x) {
        const double kx = static_cast<double>(x);
        const auto shell = static_cast<std::size_t>(std::lround(std::sqrt(kx * kx + ky * ky + kz * kz)));
        if (shell <= last) visit(shell, a.index(x, y, z));
      }
    }
  }
}

/// exp(2 pi i k shift) for k of an axis of length n, in FFT order.
std::vector<std::complex<double>> phase_ramp(std::size_t n, double shift) {
  std::vector<std::complex<double>> ramp(n);
  for (std::size_t i = 0; i < n; ++i)
    ramp[i] = std::polar(1.0, 2 * pi * static_cast<double>(signed_frequency(i, n)) * shift);
  return ramp;
}

/// Work of a transform of length n per axis; large prime factors cost several times more.
double transform_cost(std::size_t n) {
  std::size_t rest = n;
  for (std::size_t factor : {2u, 3u, 5u, 7u})
    while (rest % factor == 0) rest /= factor;
  const double cube = static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  return rest == 1 ? cube : cube * (rest <= 13 ? 1.5 : 3.0);
}

}  // namespace

std::vector<double> shell_products(const HalfTransform& a, const HalfTransform& b) {
  const std::size_t box = common_box(a, b);
  std::vector<double> products(box / 2 + 1);
  for_each_in_shells(a, [&](std::size_t shell, std::size_t i) {
    const std::complex<double> fa = a.data[i], fb = b.data[i];
    products[shell] += fa.real() * fb.real() + fa.imag() * fb.imag();
  });
  return products;
}

std::vector<double> fsc(const HalfTransform& a, const HalfTransform& b) {
  const std::size_t box = common_box(a, b);
  std::vector<double> cross(box / 2 + 1), power_a(box / 2 + 1), power_b(box / 2 + 1);
  for_each_in_shells(a, [&](std::size_t shell, std::size_t i) {
    const std::complex<double> fa = a.data[i], fb = b.data[i];
    cross[shell] += fa.real() * fb.real() + fa.imag() * fb.imag();
    power_a[shell] += std::norm(fa);
    power_b[shell] += std::norm(fb);
  });
  for (std::size_t s = 0; s < cross.size(); ++s) {
    const double norm = std::sqrt(power_a[s]) * std::sqrt(power_b[s]);
    cross[s] = norm > 0 ? cross[s] / norm : 0;
  }
  return cross;
}

std::vector<double> fsc(const Map& a, const Map& b) {
  check_cubic(a, "FSC");
  check_cubic(b, "FSC");
  return fsc(forward(a), forward(b));
}

std::vector<double> shell_power(const HalfTransform& a) {
  const std::size_t box = half_box(a, "shell power");
  std::vector<double> power(box / 2 + 1), count(box / 2 + 1);
  for_each_in_shells(a, [&](std::size_t shell, std::size_t i) {
    power[shell] += std::norm(std::complex<double>(a.data[i]));
    count[shell] += 1;
  });
  for (std::size_t s = 0; s < power.size(); ++s) power[s] = count[s] > 0 ? power[s] / count[s] : 0;
  return power;
}

Map multiply_shells(const Map& map, const std::vector<float>& factors) {
  check_cubic(map, "filter");
  HalfTransform t = forward(map), product(t.nx, t.ny, t.nz);
  product.fill(0);
  for_each_in_shells(t, [&](std::size_t shell, std::size_t i) {
    if (shell < factors.size()) product.data[i] = t.data[i] * factors[shell];
  });
  return inverse(std::move(product), map.nx);
}

Map low_pass(const Map& map, double radius) {
  check_cubic(map, "low-pass");
  return filtered(map, [radius](double k) { return k < radius ? 1 : 0; });
}

double crossing_shell(const std::vector<double>& curve, double threshold) {
  for (std::size_t s = 1; s < curve.size(); ++s) {
    if (curve[s] >= threshold) continue;
    const double before = curve[s - 1];
    if (before < threshold) return static_cast<double>(s - 1);  // only for s == 1
    return static_cast<double>(s - 1) + (before - threshold) / (before - curve[s]);
  }
  return curve.empty() ? 0 : static_cast<double>(curve.size() - 1);
}

double shell_resolution(double shell, std::size_t box, double pixel_size) {
  if (shell <= 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(box) * pixel_size / shell;
}

Map fourier_resize(const Map& map, std::size_t box) {
  check_cubic(map, "Fourier resize");
  if (box == 0) throw InputError(Problem{"Fourier resize", "box", "0", "a box of at least 1", ""});
  const std::size_t n = map.nx;
  if (box == n) return map;
  const bool flat = map.nz == 1 && n > 1;
  const HalfTransform from = forward(map);
  HalfTransform to(box / 2 + 1, box, flat ? 1 : box);
  to.fill(0);

  // Frequencies with |k| < small/2 exist on both grids. An odd box has its centre half a
  // voxel off the middle of the field of view, which a phase ramp makes up for.
  const std::size_t small = std::min(n, box);
  const long limit = static_cast<long>((small - 1) / 2);
  const double shift =
      static_cast<double>(n / 2) / static_cast<double>(n) - static_cast<double>(box / 2) / static_cast<double>(box);
  const bool ramped = std::abs(shift) > 1e-12;
  const auto ramp = phase_ramp(n, shift);
  const auto from_index = [n](long k) { return static_cast<std::size_t>(k < 0 ? k + static_cast<long>(n) : k); };
  const auto to_index = [box](long k) { return static_cast<std::size_t>(k < 0 ? k + static_cast<long>(box) : k); };
  const long limit_z = flat ? 0 : limit;
  for (long kz = -limit_z; kz <= limit_z; ++kz) {
    for (long ky = -limit; ky <= limit; ++ky) {
      const std::size_t zf = from_index(kz), yf = from_index(ky);
      const std::complex<float>* source = &from.data[from.index(0, yf, zf)];
      std::complex<float>* target = &to.data[to.index(0, to_index(ky), to_index(kz))];
      for (std::size_t x = 0; x <= static_cast<std::size_t>(limit); ++x) {
        target[x] = source[x];
        if (ramped)
          target[x] =
              std::complex<float>(std::complex<double>(source[x]) * ramp[x] * ramp[yf] * (flat ? 1.0 : ramp[zf]));
      }
    }
  }
  return inverse(std::move(to), box);
}

Map window(const Map& map, std::size_t box, float fill) {
  check_cubic(map, "window");
  const std::size_t n = map.nx;
  if (box == n) return map;
  const bool flat = map.nz == 1 && n > 1;
  Map result(box, box, flat ? 1 : box);
  if (box > n) result.fill(fill);
  // Offset of the copied region within the larger of both boxes.
  const std::size_t small = std::min(n, box);
  const std::size_t source0 = box < n ? n / 2 - box / 2 : 0;
  const std::size_t target0 = box < n ? 0 : box / 2 - n / 2;
  const std::size_t depth = flat ? 1 : small;
  for (std::size_t z = 0; z < depth; ++z)
    for (std::size_t y = 0; y < small; ++y) {
      const float* source = &map.data[map.index(source0, source0 + y, flat ? 0 : source0 + z)];
      std::copy_n(source, small, &result.data[result.index(target0, target0 + y, flat ? 0 : target0 + z)]);
    }
  return result;
}

float edge_mean(const Map& map) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t z = 0; z < map.nz; ++z)
    for (std::size_t y = 0; y < map.ny; ++y) {
      const bool face = y == 0 || y + 1 == map.ny || (map.nz > 1 && (z == 0 || z + 1 == map.nz));
      const std::size_t step = face || map.nx == 1 ? 1 : map.nx - 1;
      for (std::size_t x = 0; x < map.nx; x += step) {
        sum += map(x, y, z);
        ++count;
      }
    }
  return count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : 0.0f;
}

ResampleBoxes resample_boxes(std::size_t box, double from_voxel, double to_voxel) {
  if (!(from_voxel > 0) || !(to_voxel > 0) || !std::isfinite(from_voxel) || !std::isfinite(to_voxel))
    throw InputError(Problem{"resampling", "voxel size",
                             std::to_string(from_voxel) + " A to " + std::to_string(to_voxel) + " A",
                             "two positive sizes in A", "give the map's pixel size (--pixel-size)"});
  const std::size_t first = box + (box & 1);
  const double ratio = from_voxel / to_voxel;
  ResampleBoxes best;
  double best_cost = std::numeric_limits<double>::infinity();
  // 275 GB of densities: a pixel size that asks for more is wrong.
  const std::size_t largest = std::max<std::size_t>(4096, 2 * first);
  // Some pair fits soon, at the latest where a step of two voxels is 0.2 % of the box.
  const std::size_t limit = first + 2 * static_cast<std::size_t>(1000 / std::min(ratio, 1.0));
  for (std::size_t padded = first; padded <= 2 * first || (best.padded == 0 && padded <= limit); padded += 2) {
    const double exact = static_cast<double>(padded) * ratio;
    if (padded > largest || exact > static_cast<double>(largest)) break;
    const auto resampled = 2 * static_cast<std::size_t>(std::max(1L, std::lround(exact / 2)));
    const double error = std::abs(exact / static_cast<double>(resampled) - 1);
    if (error > 1e-3) continue;
    // What follows (a network) costs far more per voxel than a transform.
    const double cube = std::pow(static_cast<double>(resampled), 3);
    const double cost = transform_cost(padded) + transform_cost(resampled) + 100 * cube;
    if (cost < best_cost) {
      best = {padded, resampled, static_cast<double>(padded) * from_voxel / static_cast<double>(resampled)};
      best_cost = cost;
    }
  }
  if (best.padded != 0) return best;
  throw InputError(
      Problem{"resampling", "voxel size ratio",
              std::to_string(from_voxel) + " A to " + std::to_string(to_voxel) + " A at box " + std::to_string(box),
              "a ratio that two even boxes of " + std::to_string(largest) + " at most meet within 0.1 %",
              "check the pixel size of the map"});
}

Resampled resample(const Map& map, double from_voxel, double to_voxel) {
  check_cubic(map, "resampling");
  const ResampleBoxes boxes = resample_boxes(map.nx, from_voxel, to_voxel);
  if (boxes.padded == map.nx) return {fourier_resize(map, boxes.resampled), boxes.voxel_size};
  return {fourier_resize(window(map, boxes.padded, edge_mean(map)), boxes.resampled), boxes.voxel_size};
}

Map spherical_mask(std::size_t box, double radius, double edge) {
  Map mask(box, box, box);
  const double centre_voxel = static_cast<double>(box / 2);
  const double inner = radius - edge / 2, outer = radius + edge / 2;
#pragma omp parallel for num_threads(threads()) schedule(static)
  for (std::size_t z = 0; z < box; ++z)
    for (std::size_t y = 0; y < box; ++y)
      for (std::size_t x = 0; x < box; ++x) {
        const double dx = static_cast<double>(x) - centre_voxel, dy = static_cast<double>(y) - centre_voxel;
        const double dz = static_cast<double>(z) - centre_voxel;
        const double r = std::sqrt(dx * dx + dy * dy + dz * dz);
        double value = r <= inner ? 1 : 0;
        if (r > inner && r < outer) value = 0.5 * (1 + std::cos(pi * (r - inner) / edge));
        mask(x, y, z) = static_cast<float>(value);
      }
  return mask;
}

}  // namespace cryored
