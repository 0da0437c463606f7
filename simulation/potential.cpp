#include "simulation/potential.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <gemmi/c4322.hpp>
#include <map>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

using std::numbers::pi;
using Factors = gemmi::C4322<double>;

/// A term of an atom's projection: height exp(-rate rho^2), in V A.
struct Term {
  double height, rate;
};

/// Hydrogens that an atom carries on average: of the composition of proteins (C 1.2, N 1.2, O 0.2) to one digit.
double carried_hydrogens(int element) {
  switch (element) {
    case 6:
    case 7:
      return 1.2;
    case 8:
      return 0.2;
    default:
      return 0;
  }
}

/// Displaced volume in A^3 (Fraser et al. 1978; Svergun et al. 1995); others as sulphur.
double displaced_volume(int element) {
  switch (element) {
    case 1:
      return 5.15;
    case 6:
      return 16.44;
    case 7:
      return 2.49;
    case 8:
      return 9.13;
    case 15:
      return 5.73;
    default:
      return 19.86;
  }
}

void add_factors(int element, double count, double b_factor, std::vector<Term>& terms) {
  const auto& f = Factors::get(gemmi::Element(element).elem);
  for (int i = 0; i < 5; ++i) {
    const double t = 4 * pi / (f.b(i) + b_factor);
    terms.push_back({count * kVoltsPerDensity * f.a(i) * t, t * pi});
  }
}

std::vector<Term> terms_of(int element, const PotentialOptions& o) {
  std::vector<Term> terms;
  add_factors(element, 1, o.b_factor, terms);
  const double carried = o.hydrogens ? carried_hydrogens(element) : 0;
  if (carried > 0) add_factors(1, carried, o.b_factor, terms);
  if (o.in_ice) {
    // A Gaussian exp(-pi r^2 / v^(2/3)) holds the volume v; the B factor spreads it by B / (4 pi) as it does the atom.
    const double v = displaced_volume(element) + carried * displaced_volume(1);
    const double width = std::pow(v, 2.0 / 3) + o.b_factor / (4 * pi);
    terms.push_back({-ice_inner_potential() * v / width, pi / width});
  }
  return terms;
}

}  // namespace

double ice_inner_potential() {
  static const double value = [] {
    const auto& oxygen = Factors::get(gemmi::El::O);
    const auto& hydrogen = Factors::get(gemmi::El::H);
    return kVoltsPerDensity * kIceDensity * (oxygen.calculate_sf(0) + 2 * hydrogen.calculate_sf(0));
  }();
  return value;
}

Map projected_potential(const Structure& structure, const PotentialOptions& o) {
  if (o.box < 8 || o.box % 2 || !(o.pixel_size > 0) || !(o.b_factor >= 0))
    throw UsageError(Problem{
        "potential", "box, pixel size, B factor",
        std::to_string(o.box) + ", " + std::to_string(o.pixel_size) + " A, " + std::to_string(o.b_factor) + " A^2",
        "an even box of 8 or more, above 0, 0 or more", "correct them"});
  // Fine enough that the sharpest atom is sampled without aliasing; cropped in Fourier space at the end.
  const double finest = std::clamp(std::sqrt(o.b_factor + 4) / 8, 0.4, 1.0);
  const auto factor = static_cast<std::size_t>(std::max(1.0, std::ceil(o.pixel_size / finest)));
  const std::size_t fine = o.box * factor;
  const double step = o.pixel_size / static_cast<double>(factor);
  std::map<int, std::vector<Term>> kinds;
  for (const auto& a : structure.atoms) kinds.try_emplace(a.element);
  for (auto& [element, terms] : kinds) terms = terms_of(element, o);

  std::vector<double> sum(fine * fine, 0.0);
  const auto& r = o.rotation.m;
  const auto n = static_cast<long>(fine);
  std::vector<double> row;
  for (const auto& a : structure.atoms) {
    const double x = (r[0][0] * a.x + r[0][1] * a.y + r[0][2] * a.z + o.x) / step + static_cast<double>(fine / 2);
    const double y = (r[1][0] * a.x + r[1][1] * a.y + r[1][2] * a.z + o.y) / step + static_cast<double>(fine / 2);
    for (const auto& t : kinds.at(a.element)) {
      const double rate = t.rate * step * step;
      const double reach = std::sqrt(12 / rate);  // exp(-12) of the height is left out
      const long x0 = std::max(0L, static_cast<long>(std::ceil(x - reach))),
                 x1 = std::min(n - 1, static_cast<long>(std::floor(x + reach)));
      const long y0 = std::max(0L, static_cast<long>(std::ceil(y - reach))),
                 y1 = std::min(n - 1, static_cast<long>(std::floor(y + reach)));
      if (x1 < x0 || y1 < y0) continue;
      row.resize(static_cast<std::size_t>(x1 - x0 + 1));
      for (long i = x0; i <= x1; ++i) {
        const double d = static_cast<double>(i) - x;
        row[static_cast<std::size_t>(i - x0)] = t.height * std::exp(-rate * d * d);
      }
      for (long j = y0; j <= y1; ++j) {
        const double d = static_cast<double>(j) - y, w = std::exp(-rate * d * d);
        double* out = &sum[static_cast<std::size_t>(j * n + x0)];
        for (std::size_t i = 0; i < row.size(); ++i) out[i] += w * row[i];
      }
    }
  }
  Map map(fine, fine, 1);
  std::transform(sum.begin(), sum.end(), map.data.begin(), [](double v) { return static_cast<float>(v); });
  return factor == 1 ? map : fourier_resize(map, o.box);
}

Map potential_map(const Structure& structure, const DensityOptions& options) {
  Map map = density_map(structure, options);
  for (float& v : map.data) v *= static_cast<float>(kVoltsPerDensity);
  return map;
}

double ice_power(double k, const IceOptions& o) {
  const auto& oxygen = Factors::get(gemmi::El::O);
  const auto& hydrogen = Factors::get(gemmi::El::H);
  const double s2 = k * k / 4;
  const double molecule = kVoltsPerDensity * (oxygen.calculate_sf(s2) + 2 * hydrogen.calculate_sf(s2));
  const double order = 1 - 0.94 * std::exp(-std::pow(k / 0.22, 4)) + 0.7 * std::exp(-std::pow((k - 0.27) / 0.04, 2));
  // Average over the exposure of exp(-x |t - t'|), x = 2 pi^2 k^2 <move^2>: what a diffusing density keeps of its
  // power.
  const double x = 2 * pi * pi * k * k * o.motion * o.dose;
  const double kept = x > 1e-4 ? 2 * (x - 1 + std::exp(-x)) / (x * x) : 1;
  return kIceDensity * o.thickness * molecule * molecule * order * kept;
}

Map ice_layer(std::size_t box, double pixel_size, const IceOptions& o, std::uint64_t seed) {
  if (box < 2 || !(pixel_size > 0) || !(o.thickness >= 0) || !(o.motion >= 0) || !(o.dose >= 0))
    throw UsageError(
        Problem{"ice", "thickness, motion, dose",
                std::to_string(o.thickness) + ", " + std::to_string(o.motion) + ", " + std::to_string(o.dose),
                "0 or more, finite", "correct them"});
  Map field(box, box, 1);
  if (o.thickness == 0) {
    field.fill(0);
    return field;
  }
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  for (float& v : field.data) v = normal(random);
  HalfTransform t = forward(field);
  const double unit = 1 / (static_cast<double>(box) * pixel_size);
  for (std::size_t y = 0; y < box; ++y)
    for (std::size_t x = 0; x <= box / 2; ++x) {
      const double k = std::hypot(static_cast<double>(x), static_cast<double>(signed_frequency(y, box))) * unit;
      t(x, y, 0) *= static_cast<float>(std::sqrt(ice_power(k, o)) / pixel_size);
    }
  t(0, 0, 0) = 0;
  return inverse(std::move(t), box);
}

}  // namespace cryored
