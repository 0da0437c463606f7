#pragma once
// The contrast transfer function in RELION's convention (Rohou & Grigorieff, J. Struct. Biol. 192 (2015) 216, with
// RELION's sign; aberrations: Zivanov et al., IUCrJ 7 (2020) 253). Plain C++; image formation that is differentiated
// takes the same parameters.

#include <cstddef>
#include <vector>

namespace cryored {

/// What RELION's optics and particle tables say about one image; the names of the columns are in ctf_star.hpp.
struct CtfParameters {
  double voltage = 300;                     ///< kV
  double spherical_aberration = 2.7;        ///< mm
  double amplitude_contrast = 0.1;          ///< fraction, 0 .. 1
  double defocus_u = 0, defocus_v = 0;      ///< A, positive is underfocus; U along the angle, V across
  double defocus_angle = 0;                 ///< degrees, from x towards y
  double phase_shift = 0;                   ///< degrees, of a phase plate
  double b_factor = 0;                      ///< A^2, envelope exp(-b |k|^2 / 4)
  double scale = 1;                         ///< of the whole function
  double beam_tilt_x = 0, beam_tilt_y = 0;  ///< mrad; adds to the odd aberrations, as in RELION 5
  /// Coefficients of the symmetric (taken from gamma) and antisymmetric (a phase of the image) aberrations, radians;
  /// the polynomials are those of zernike_even() and zernike_odd(), with k in 1/A.
  std::vector<double> even_zernike, odd_zernike;

  bool operator==(const CtfParameters&) const = default;
};

/// Relativistic electron wavelength in A at `voltage` kV.
double electron_wavelength(double voltage);

/// Zernike polynomial Z_n^m, unnormalised, at (x, y): R(rho) cos(m phi) for m >= 0, R(rho) sin(-m phi) below.
double zernike(int m, int n, double x, double y);
/// Polynomial of coefficient `index` of rlnEvenZernike (orders 0, 2, 4 ...; m = -n, -n + 2 .. n in each).
double zernike_even(std::size_t index, double x, double y);
/// Polynomial of coefficient `index` of rlnOddZernike (orders 1, 3, 5 ...).
double zernike_odd(std::size_t index, double x, double y);

/// With k = (kx, ky) in 1/A: gamma = pi lambda D(k) |k|^2 - pi/2 Cs lambda^3 |k|^4 + phase shift + asin(Q0)
/// - even aberrations, D(k) the defocus in the direction of k; value = scale exp(-b |k|^2 / 4) sin(gamma).
/// An image's transform is the projection's times value(k) exp(i phase(k)).
class Ctf {
 public:
  /// Throws InputError for values outside their range (voltage, Cs, amplitude contrast, defocus) or not finite.
  explicit Ctf(const CtfParameters& parameters);

  double value(double kx, double ky) const;
  /// The angle whose sine, times the envelope, is value(): radians.
  double gamma(double kx, double ky) const;
  double envelope(double kx, double ky) const;
  /// Phase from beam tilt and odd aberrations: radians, phase(-k) = -phase(k).
  double phase(double kx, double ky) const;
  bool has_phase() const { return has_phase_; }

  /// value() at n points (kx, ky) * unit, unit in 1/A.
  void values(const float* kx, const float* ky, std::size_t n, double unit, float* out) const;

  const CtfParameters& parameters() const { return parameters_; }

 private:
  CtfParameters parameters_;
  double xx_, xy_, yy_;  ///< gamma's quadratic form
  double fourth_, constant_;
  double tilt_;  ///< 2 pi Cs lambda^2 per mrad
  bool has_phase_;
};

}  // namespace cryored
