// Closed forms of the CTF, and its columns in STAR files.

#include "core/imaging/ctf.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "core/base/error.hpp"
#include "core/imaging/ctf_star.hpp"

namespace cryored {
namespace {

TEST(Ctf, WavelengthOfTheTables) {
  // International Tables C, table 4.3.2.1: 0.0196874 A at 300 kV, 0.0250793 A at 200 kV.
  EXPECT_NEAR(electron_wavelength(300), 0.0196874, 1e-6);
  EXPECT_NEAR(electron_wavelength(200), 0.0250793, 1e-6);
}

TEST(Ctf, ManyPointsAtOnceAreTheSameFunction) {
  CtfParameters p;
  p.defocus_u = 21000;
  p.defocus_v = 18000;
  p.defocus_angle = 40;
  p.phase_shift = 25;
  p.scale = 0.8;
  std::vector<float> kx, ky;
  for (int i = 0; i < 700; ++i) {  // not a whole number of blocks
    const int row = i / 10 - 35;
    kx.push_back(static_cast<float>(i % 48));
    ky.push_back(static_cast<float>(row));
  }
  const double unit = 1 / 144.0;
  for (const double b : {0.0, 60.0})
    for (const std::vector<double>& even : {std::vector<double>{}, {0, 0.1, -40, 12}}) {
      p.b_factor = b;
      p.even_zernike = even;
      const Ctf ctf(p);
      std::vector<float> values(kx.size());
      ctf.values(kx.data(), ky.data(), kx.size(), unit, values.data());
      for (std::size_t i = 0; i < kx.size(); ++i)
        ASSERT_NEAR(values[i], ctf.value(kx[i] * unit, ky[i] * unit), 1e-6) << i << " B " << b << " " << even.size();
    }
}

TEST(Ctf, ClosedForms) {
  CtfParameters p;
  p.defocus_u = p.defocus_v = 15000;
  p.amplitude_contrast = 0.07;
  const Ctf ctf(p);
  EXPECT_NEAR(ctf.value(0, 0), 0.07, 1e-12);  // the amplitude contrast alone, positive as RELION has it
  // Without astigmatism it depends on |k| only, and Thon's first zero lies where gamma is pi.
  EXPECT_NEAR(ctf.value(0.03, 0.04), ctf.value(0.05, 0), 1e-12);
  double low = 0.01, high = 0.1;
  for (int i = 0; i < 60; ++i) ((ctf.gamma((low + high) / 2, 0) < std::numbers::pi) ? low : high) = (low + high) / 2;
  EXPECT_NEAR(ctf.value(low, 0), 0, 1e-9);
  EXPECT_NEAR(1 / low, std::sqrt(electron_wavelength(300) * 15000), 0.5);  // sqrt(lambda D), but for Cs and Q0

  // Along U the defocus is U, across it V.
  p.defocus_v = 12000;
  p.defocus_angle = 30;
  CtfParameters along = p, across = p;
  along.defocus_v = 15000;
  across.defocus_u = 12000;
  const double c = std::cos(std::numbers::pi / 6), s = std::sin(std::numbers::pi / 6);
  EXPECT_NEAR(Ctf(p).value(0.1 * c, 0.1 * s), Ctf(along).value(0.1, 0), 1e-9);
  EXPECT_NEAR(Ctf(p).value(-0.1 * s, 0.1 * c), Ctf(across).value(0.1, 0), 1e-9);

  p.b_factor = 100;
  EXPECT_NEAR(Ctf(p).envelope(0, 0.2), std::exp(-1.0), 1e-12);
  EXPECT_FALSE(ctf.has_phase());
  p.beam_tilt_y = 1;  // 2 pi Cs lambda^2 |k|^2 k.tilt
  const double expected = 2 * std::numbers::pi * 2.7e7 * std::pow(electron_wavelength(300), 2) * 0.008 * 1e-3;
  EXPECT_NEAR(Ctf(p).phase(0, 0.2), -expected, 1e-12);
  EXPECT_NEAR(Ctf(p).phase(0, -0.2), -Ctf(p).phase(0, 0.2), 1e-15);
}

TEST(Ctf, ZernikePolynomials) {
  const double x = 0.3, y = -0.2, r2 = x * x + y * y;
  EXPECT_NEAR(zernike_even(0, x, y), 1, 1e-12);
  EXPECT_NEAR(zernike_even(1, x, y), 2 * x * y, 1e-12);  // m = -2: rho^2 sin 2 phi
  EXPECT_NEAR(zernike_even(2, x, y), 2 * r2 - 1, 1e-12);
  EXPECT_NEAR(zernike_even(3, x, y), x * x - y * y, 1e-12);
  EXPECT_NEAR(zernike_even(6, x, y), 6 * r2 * r2 - 6 * r2 + 1, 1e-12);
  EXPECT_NEAR(zernike_odd(0, x, y), y, 1e-12);
  EXPECT_NEAR(zernike_odd(1, x, y), x, 1e-12);
  EXPECT_NEAR(zernike_odd(3, x, y), (3 * r2 - 2) * y, 1e-12);
  EXPECT_NEAR(zernike_odd(4, x, y), (3 * r2 - 2) * x, 1e-12);
  EXPECT_NEAR(zernike_odd(5, x, y), x * x * x - 3 * x * y * y, 1e-12);
}

TEST(Ctf, RefusesNonsense) {
  CtfParameters p;
  p.voltage = 0;
  EXPECT_THROW(Ctf{p}, InputError);
  p = {};
  p.amplitude_contrast = 1.2;
  EXPECT_THROW(Ctf{p}, InputError);
  p = {};
  p.defocus_v = -1.1e6;
  EXPECT_THROW(Ctf{p}, InputError);
  p = {};
  p.even_zernike = {0, NAN};
  EXPECT_THROW(Ctf{p}, InputError);
}

constexpr const char* kOptics =
    "data_optics\nloop_\n_rlnOpticsGroup\n_rlnVoltage\n_rlnSphericalAberration\n_rlnAmplitudeContrast\n_rlnBeamTiltX\n"
    "_rlnEvenZernike\n3 200 2 0.1 0.5 [0,0.1,-2e-1]\n1 300 2.7 0.07 0 []\n\n";

TEST(CtfStar, OpticsGroupsAndRelion30) {
  const StarFile star = parse_star(std::string(kOptics) +
                                       "data_particles\nloop_\n_rlnOpticsGroup\n_rlnDefocusU\n_rlnDefocusV\n"
                                       "_rlnDefocusAngle\n_rlnPhaseShift\n1 9000 8000 12 0\n3 7000 7500 -20 90\n",
                                   "a.star");
  const CtfTable table(star.require("particles"), star.find("optics"));
  CtfParameters first;
  first.amplitude_contrast = 0.07;
  first.defocus_u = 9000;
  first.defocus_v = 8000;
  first.defocus_angle = 12;
  EXPECT_EQ(table.of_row(0), first);
  const CtfParameters second = table.of_row(1);
  EXPECT_EQ(second.voltage, 200);
  EXPECT_EQ(second.phase_shift, 90);
  EXPECT_EQ(second.beam_tilt_x, 0.5);
  EXPECT_EQ(second.even_zernike, (std::vector<double>{0, 0.1, -0.2}));

  const StarFile old = parse_star(
      "data_\nloop_\n_rlnVoltage\n_rlnSphericalAberration\n_rlnAmplitudeContrast\n_rlnDefocusU\n_rlnDefocusV\n"
      "_rlnDefocusAngle\n_rlnCtfBfactor\n300 2.7 0.1 1e4 1.1e4 0 80\n",
      "old.star");
  EXPECT_EQ(CtfTable(old.tables[0], nullptr).of_row(0).b_factor, 80);
}

std::string message_of(const std::string& particles, std::size_t row = 0) {
  const StarFile star = parse_star(std::string(kOptics) + particles, "bad.star");
  try {
    CtfTable(star.require("particles"), star.find("optics")).of_row(row);
  } catch (const InputError& e) {
    return e.what();
  }
  return {};
}

TEST(CtfStar, BadColumnsAreNamed) {
  const std::string labels = "data_particles\nloop_\n_rlnOpticsGroup\n_rlnDefocusU\n_rlnDefocusAngle\n";
  EXPECT_NE(message_of(labels + "1 9000 0\n").find("rlnDefocusV"), std::string::npos);
  const std::string all = labels + "_rlnDefocusV\n";
  EXPECT_NE(message_of(all + "1 9000 0 9000\n2 9000 0 9000\n", 1).find("rlnOpticsGroup of row 2"), std::string::npos);
  EXPECT_NE(message_of(all + "1 9000 0 nan\n").find("particle 1: rlnDefocusV"), std::string::npos);
  EXPECT_EQ(message_of(all + "1 9000 0 9000\n"), "");
  EXPECT_NE(message_of(all + "1 9000 0 \"\"\n").find("rlnDefocusV"), std::string::npos) << "an empty cell";
  EXPECT_THROW(parse_coefficients("0.1,2", "x"), InputError);
  EXPECT_EQ(parse_coefficients("[0.125, -3]", "x"), (std::vector<double>{0.125, -3}));
}

}  // namespace
}  // namespace cryored
