// Our CTF against relion_project --ctf: the projection of a point at the origin has a constant transform, so that
// RELION's image of it is the CTF itself, with nothing interpolated.

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "core/formats/mrc.hpp"
#include "core/fourier/shells.hpp"
#include "core/imaging/ctf.hpp"
#include "core/imaging/ctf_star.hpp"
#include "tests/red/relion.hpp"

namespace cryored {
namespace {

constexpr std::size_t kBox = 64;
constexpr double kPixel = 1.3;

/// Beam tilt and odd coefficients never in one file: RELION 3.1.3 does not add them up as RELION 5 does.
std::string header(bool tilt) {
  std::string text =
      "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnOpticsGroupName #2\n_rlnImagePixelSize #3\n_rlnImageSize #4\n"
      "_rlnImageDimensionality #5\n_rlnVoltage #6\n_rlnSphericalAberration #7\n_rlnAmplitudeContrast #8\n";
  if (tilt)
    text +=
        "_rlnBeamTiltX #9\n_rlnBeamTiltY #10\n1 plain 1.3 64 2 300 2.7 0.1 0 0\n"
        "2 tilt 1.3 64 2 300 2.7 0.1 0.9 -1.6\n";
  else
    text +=
        "_rlnEvenZernike #9\n_rlnOddZernike #10\n1 even 1.3 64 2 200 2.0 0.07 [0.2,3,-2,1,5,-4,6,3,-7] [0,0,0,0,0,0]\n"
        "2 odd 1.3 64 2 300 1.2 0.1 [0,0,0,0,0,0,0,0,0] [2,-9,30,25,-14,26]\n";
  return text +
         "\ndata_particles\n\nloop_\n_rlnImageName #1\n_rlnOpticsGroup #2\n_rlnAngleRot #3\n_rlnAngleTilt #4\n"
         "_rlnAnglePsi #5\n_rlnOriginXAngst #6\n_rlnOriginYAngst #7\n_rlnDefocusU #8\n_rlnDefocusV #9\n"
         "_rlnDefocusAngle #10\n_rlnPhaseShift #11\n_rlnCtfBfactor #12\n_rlnCtfScalefactor #13\n_rlnRandomSubset #14\n";
}

Map point_map() {
  Map point(kBox, kBox, kBox);
  point.fill(0);
  point(kBox / 2, kBox / 2, kBox / 2) = 1;
  return point;
}

/// RELION leaves the corners out.
bool inside(double kx, double ky) { return std::hypot(kx, ky) <= kBox / 2 - 1.5; }

TEST(CtfRelion, EqualsRelionProject) {
  REQUIRE_PROGRAM("relion_project");
  const TemporaryFolder folder;
  write_mrc(folder / "point.mrc", point_map(), kPixel);
  std::ofstream(folder / "ctf.star") << header(false)
                                     << "1@none.mrcs 2 0 0 0 0 0 9000 9000 0 0 0 1 1\n"
                                        "2@none.mrcs 2 10 20 30 0 0 13000 11500 37 0 0 1 1\n"
                                        "3@none.mrcs 2 0 50 0 0 0 8000 8600 -60 90 0 1 1\n"
                                        "4@none.mrcs 2 0 0 0 0 0 10000 10000 0 0 60 0.8 1\n"
                                        "5@none.mrcs 1 0 0 0 0 0 12000 11000 15 20 30 1 1\n";
  ASSERT_EQ(run_program("cd '" + folder.path().string() +
                        "' && relion_project --i point.mrc --ang ctf.star --o proj --ctf --angpix 1.3"),
            0);
  const StarFile star = read_star(folder / "ctf.star");
  const StarTable& rows = star.require("particles");
  const CtfTable table(rows, star.find("optics"));
  const MrcFile stack(folder / "proj.mrcs");
  ASSERT_EQ(stack.header().nz, rows.rows());
  for (std::size_t row = 0; row < rows.rows(); ++row) {
    const Ctf ctf(table.of_row(row));
    Map image(kBox, kBox, 1);
    stack.read_section(row, image.data.data());
    HalfTransform t = forward(image);
    centre(t);
    double worst = 0;
    for (std::size_t y = 0; y < kBox; ++y)
      for (std::size_t x = 0; x < kBox / 2; ++x) {
        const auto ky = static_cast<double>(signed_frequency(y, kBox));
        if (!inside(static_cast<double>(x), ky)) continue;
        const double unit = 1 / (kBox * kPixel);
        const double expected = ctf.value(static_cast<double>(x) * unit, ky * unit);
        worst = std::max(worst, std::abs(std::complex<double>(t(x, y, 0)) * double(kBox * kBox) - expected));
      }
    EXPECT_LT(worst, 1e-5) << "particle " << row + 1;
  }
}

// relion_project leaves the antisymmetric aberrations out; relion_reconstruct takes them back. A point that was imaged
// with ours becomes a point again only if sign and size are RELION's.
TEST(CtfRelion, ReconstructionTakesOurPhasesBack) {
  REQUIRE_PROGRAM("relion_reconstruct");
  struct Case {
    bool tilt;
    int group;
  };
  for (const auto& [tilted, group] : {Case{true, 1}, Case{true, 2}, Case{false, 2}}) {
    const TemporaryFolder folder;
    constexpr std::size_t kCount = 400;
    {
      std::ofstream star(folder / "images.star");
      star << header(tilted);
      for (std::size_t i = 0; i < kCount; ++i) {
        // A spiral over the sphere; the image of the point is the same from everywhere.
        const double tilt = std::acos(1 - 2 * (double(i) + 0.5) / kCount) * 180 / std::numbers::pi;
        star << i + 1 << "@images.mrcs " << group << ' ' << std::fmod(137.5077640 * double(i), 360) << ' ' << tilt
             << ' ' << std::fmod(73.1 * double(i), 360) << " 0 0 " << 8000 + 25 * i << ' ' << 8000 + 25 * i
             << " 0 0 0 1 " << 1 + i % 2 << '\n';
      }
    }
    const StarFile star = read_star(folder / "images.star");
    const CtfTable table(star.require("particles"), star.find("optics"));
    double phase_power = 0;
    MrcStackWriter stack(folder / "images.mrcs", kBox, kBox, kCount, kPixel);
    for (std::size_t i = 0; i < kCount; ++i) {
      const Ctf ctf(table.of_row(i));
      HalfTransform t(kBox / 2 + 1, kBox, 1);
      t.fill(0);
      for (std::size_t y = 0; y < kBox; ++y)
        for (std::size_t x = 0; x < kBox / 2; ++x) {
          const auto ky = static_cast<double>(signed_frequency(y, kBox)), kx = static_cast<double>(x);
          if (!inside(kx, ky)) continue;
          const double unit = 1 / (kBox * kPixel), phase = ctf.phase(kx * unit, ky * unit);
          t(x, y, 0) = std::complex<float>(std::polar(ctf.value(kx * unit, ky * unit) / (kBox * kBox), phase));
          if (i == 0 && std::hypot(kx, ky) > kBox / 4) phase_power += phase * phase / (kBox * kBox / 2);
        }
      centre(t);
      const Map image = inverse(t, kBox);
      stack.append(image.data.data());
    }
    stack.close();
    if (group == 2) {
      EXPECT_GT(phase_power, 0.3) << "the aberrations are too small to show anything";
    }
    ASSERT_EQ(run_program("cd '" + folder.path().string() +
                          "' && relion_reconstruct --i images.star --o point.mrc --ctf --angpix 1.3 --skip_gridding"),
              0);
    const std::vector<double> curve = fsc(read_mrc(folder / "point.mrc"), point_map());
    for (std::size_t s = 1; s < kBox / 2 - 2; ++s) EXPECT_GT(curve[s], 0.99) << "group " << group << ", shell " << s;
  }
}

}  // namespace
}  // namespace cryored
