#include "core/imaging/ctf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/error.hpp"
#include "core/fourier/grid.hpp"
#include "core/imaging/sines.hpp"

namespace cryored {
namespace {

constexpr double kDegree = std::numbers::pi / 180;

void require(bool good, const char* field, double found, const char* allowed) {
  if (!good || !std::isfinite(found))
    throw InputError(Problem{"CTF", field, fmt::format("{}", found), allowed, "correct the value"});
}

double factorial(int n) {
  double f = 1;
  for (int i = 2; i <= n; ++i) f *= i;
  return f;
}

}  // namespace

double electron_wavelength(double voltage) {
  const double volts = voltage * 1e3;
  return 12.2643247 / std::sqrt(volts * (1 + volts * 0.978466e-6));
}

double zernike(int m, int n, double x, double y) {
  const double rho = std::hypot(x, y), phi = rho > 0 ? std::atan2(y, x) : 0;
  const int a = std::abs(m);
  double radial = 0;
  for (int k = 0; k <= (n - a) / 2; ++k)
    radial += (k % 2 ? -1 : 1) * factorial(n - k) /
              (factorial(k) * factorial((n + a) / 2 - k) * factorial((n - a) / 2 - k)) * std::pow(rho, n - 2 * k);
  return radial * (m >= 0 ? std::cos(m * phi) : std::sin(-m * phi));
}

double zernike_even(std::size_t index, double x, double y) {
  // Orders 0, 2, 4 ... have 1, 3, 5 ... members: order 2 k begins at k^2.
  const int i = static_cast<int>(index), k = static_cast<int>(std::sqrt(i + 0.5));
  return zernike(2 * (i - k * k - k), 2 * k, x, y);
}

double zernike_odd(std::size_t index, double x, double y) {
  // Orders 1, 3, 5 ... have 2, 4, 6 ... members: order 2 k + 1 begins at k (k + 1).
  const int i = static_cast<int>(index), k = static_cast<int>((std::sqrt(1 + 4.0 * i) - 1) / 2);
  const int n = 2 * k + 1;
  return zernike(2 * (i - k * (k + 1)) - n, n, x, y);
}

Ctf::Ctf(const CtfParameters& p) : parameters_(p) {
  require(p.voltage > 0 && p.voltage <= 3000, "voltage (rlnVoltage)", p.voltage, "kV, above 0 and at most 3000");
  require(p.spherical_aberration >= 0 && p.spherical_aberration <= 100, "Cs (rlnSphericalAberration)",
          p.spherical_aberration, "mm, 0 to 100");
  require(p.amplitude_contrast >= 0 && p.amplitude_contrast <= 1, "amplitude contrast (rlnAmplitudeContrast)",
          p.amplitude_contrast, "0 to 1");
  for (const double v : {p.defocus_u, p.defocus_v})
    require(std::abs(v) <= 1e6, "defocus (rlnDefocusU, rlnDefocusV)", v, "A, -1,000,000 to 1,000,000");
  for (const double v :
       {p.defocus_u, p.defocus_v, p.defocus_angle, p.phase_shift, p.b_factor, p.scale, p.beam_tilt_x, p.beam_tilt_y})
    require(true, "defocus, phase shift, B factor, scale or beam tilt", v, "finite numbers");
  for (const auto* list : {&p.even_zernike, &p.odd_zernike})
    for (const double v : *list) require(true, "aberration (rlnEvenZernike, rlnOddZernike)", v, "finite numbers");

  const double lambda = electron_wavelength(p.voltage), cs = p.spherical_aberration * 1e7;
  const double c = std::cos(p.defocus_angle * kDegree), s = std::sin(p.defocus_angle * kDegree);
  const double unit = std::numbers::pi * lambda;
  xx_ = unit * (p.defocus_u * c * c + p.defocus_v * s * s);
  xy_ = unit * (p.defocus_u - p.defocus_v) * c * s;
  yy_ = unit * (p.defocus_u * s * s + p.defocus_v * c * c);
  fourth_ = std::numbers::pi / 2 * cs * lambda * lambda * lambda;
  constant_ = p.phase_shift * kDegree + std::asin(p.amplitude_contrast);
  tilt_ = 2 * std::numbers::pi * cs * lambda * lambda * 1e-3;
  has_phase_ = p.beam_tilt_x != 0 || p.beam_tilt_y != 0;
  for (const double v : p.odd_zernike) has_phase_ = has_phase_ || v != 0;
}

double Ctf::gamma(double kx, double ky) const {
  const double k2 = kx * kx + ky * ky;
  double g = xx_ * kx * kx + 2 * xy_ * kx * ky + yy_ * ky * ky - fourth_ * k2 * k2 + constant_;
  for (std::size_t i = 0; i < parameters_.even_zernike.size(); ++i)
    if (parameters_.even_zernike[i] != 0) g -= parameters_.even_zernike[i] * zernike_even(i, kx, ky);
  return g;
}

double Ctf::envelope(double kx, double ky) const {
  return parameters_.b_factor == 0 ? 1.0 : std::exp(-parameters_.b_factor / 4 * (kx * kx + ky * ky));
}

double Ctf::value(double kx, double ky) const { return parameters_.scale * envelope(kx, ky) * std::sin(gamma(kx, ky)); }

void Ctf::values(const float* kx, const float* ky, std::size_t n, double unit, float* out) const {
  const CtfParameters& p = parameters_;
  bool even = false;
  for (const double v : p.even_zernike) even = even || v != 0;
  constexpr std::size_t kBlock = 256;
  double angle[kBlock], sine[kBlock];
  const double xx = xx_ * unit * unit, xy = 2 * xy_ * unit * unit, yy = yy_ * unit * unit,
               fourth = fourth_ * std::pow(unit, 4), decay = -p.b_factor / 4 * unit * unit;
  for (std::size_t begin = 0; begin < n; begin += kBlock, kx += kBlock, ky += kBlock, out += kBlock) {
    const std::size_t count = std::min(kBlock, n - begin);
    for (std::size_t i = 0; i < count; ++i) {
      const double x = kx[i], y = ky[i], k2 = x * x + y * y;
      angle[i] = xx * x * x + xy * x * y + yy * y * y - fourth * k2 * k2 + constant_;
    }
    if (even)
      for (std::size_t i = 0; i < count; ++i) angle[i] = gamma(kx[i] * unit, ky[i] * unit);
    sines(angle, count, sine);
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(p.scale * sine[i]);
    if (p.b_factor == 0) continue;
    for (std::size_t i = 0; i < count; ++i)
      out[i] *= static_cast<float>(std::exp(decay * (double{kx[i]} * kx[i] + double{ky[i]} * ky[i])));
  }
}

double Ctf::phase(double kx, double ky) const {
  double phi = -tilt_ * (kx * kx + ky * ky) * (parameters_.beam_tilt_x * kx + parameters_.beam_tilt_y * ky);
  for (std::size_t i = 0; i < parameters_.odd_zernike.size(); ++i)
    if (parameters_.odd_zernike[i] != 0) phi += parameters_.odd_zernike[i] * zernike_odd(i, kx, ky);
  return phi;
}

}  // namespace cryored
