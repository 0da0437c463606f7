// First order of our image formation against RELION's programs: no formula of ours on the other side.

#include <gtest/gtest.h>
#include <torch/fft.h>
#include <torch/utils.h>

#include <cmath>

#include "core/formats/mrc.hpp"
#include "core/fourier/grid.hpp"
#include "core/imaging/electrons.hpp"
#include "models/imaging/wave.hpp"
#include "tests/red/relion.hpp"

namespace cryored {
namespace {

constexpr std::size_t kBox = 64;
constexpr double kPixel = 1.3;

const bool one_thread = (torch::set_num_threads(1), true);

/// (1 - g) / (2 sigma) / amplitude of a point of `amplitude` V A at pixel box/2, in double precision: what RELION calls
/// the CTF applied to a point, up to second order in the amplitude.
torch::Tensor first_order_image(const CtfParameters& p) {
  constexpr double amplitude = 1e-3;
  const std::int64_t n = kBox;
  auto v = torch::zeros({1, n, n}, torch::kDouble);
  v[0][n / 2][n / 2] = amplitude;
  const auto h = transfer_function({p}, n, kPixel, torch::kDouble);
  const auto g = intensity(exit_wave(phase_from_potential(v, {p}), absorption({p}, torch::kDouble)), h);
  return ((1 - g) / (2 * interaction_parameter(p.voltage) * amplitude)).squeeze(0) * p.scale;
}

/// Largest difference of the transforms inside the circle that RELION fills, without the mean and the phase of the
/// origin: F of an image of ours against `relion`, an image of RELION's.
double difference(const torch::Tensor& ours, const torch::Tensor& relion) {
  const auto d = torch::fft::fft2(ours - relion);
  double worst = 0;
  for (std::size_t y = 0; y < kBox; ++y)
    for (std::size_t x = 0; x < kBox; ++x) {
      const double k = std::hypot(double(signed_frequency(x, kBox)), double(signed_frequency(y, kBox)));
      if (k == 0 || k > kBox / 2 - 1.5) continue;
      const auto v = d[static_cast<long>(y)][static_cast<long>(x)].item<c10::complex<double>>();
      worst = std::max(worst, std::hypot(v.real(), v.imag()));
    }
  return worst;
}

TEST(WaveRelion, FirstOrderEqualsRelionProject) {
  REQUIRE_PROGRAM("relion_project");
  const TemporaryFolder folder;
  Map point(kBox, kBox, kBox);
  point.fill(0);
  point(kBox / 2, kBox / 2, kBox / 2) = 1;
  write_mrc(folder / "point.mrc", point, kPixel);
  std::vector<CtfParameters> all(4);
  for (auto& p : all) {
    p.voltage = 200;
    p.spherical_aberration = 2;
    p.defocus_u = p.defocus_v = 10000;
  }
  all[1].defocus_u = 13000, all[1].defocus_v = 11500, all[1].defocus_angle = 37;
  all[2].phase_shift = 90, all[2].defocus_angle = -60, all[2].defocus_u = 8000, all[2].defocus_v = 8600;
  all[3].b_factor = 60, all[3].scale = 0.8;
  {
    std::ofstream star(folder / "ctf.star");
    star << "data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnOpticsGroupName #2\n_rlnImagePixelSize #3\n"
            "_rlnImageSize #4\n_rlnImageDimensionality #5\n_rlnVoltage #6\n_rlnSphericalAberration #7\n"
            "_rlnAmplitudeContrast #8\n_rlnEvenZernike #9\n1 g 1.3 64 2 200 2 0.1 [0.2,3,-2,1,5,-4,6,3,-7]\n"
            "\ndata_particles\n\nloop_\n_rlnImageName #1\n_rlnOpticsGroup #2\n_rlnAngleRot #3\n_rlnAngleTilt #4\n"
            "_rlnAnglePsi #5\n_rlnOriginXAngst #6\n_rlnOriginYAngst #7\n_rlnDefocusU #8\n_rlnDefocusV #9\n"
            "_rlnDefocusAngle #10\n_rlnPhaseShift #11\n_rlnCtfBfactor #12\n_rlnCtfScalefactor #13\n";
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto& p = all[i];
      p.even_zernike = {0.2, 3, -2, 1, 5, -4, 6, 3, -7};
      star << i + 1 << "@none.mrcs 1 10 20 30 0 0 " << p.defocus_u << ' ' << p.defocus_v << ' ' << p.defocus_angle
           << ' ' << p.phase_shift << ' ' << p.b_factor << ' ' << p.scale << '\n';
    }
  }
  ASSERT_EQ(run_program("cd '" + folder.path().string() +
                        "' && relion_project --i point.mrc --ang ctf.star --o proj --ctf --angpix 1.3"),
            0);
  const MrcFile stack(folder / "proj.mrcs");
  ASSERT_EQ(stack.header().nz, all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto relion = torch::empty({std::int64_t{kBox}, std::int64_t{kBox}});
    stack.read_section(i, relion.data_ptr<float>());
    const auto d = difference(first_order_image(all[i]), relion.to(torch::kDouble));
    RecordProperty("largest_difference_" + std::to_string(i), std::to_string(d));
    EXPECT_LT(d, 1e-5) << "particle " << i + 1;
  }
}

TEST(WaveRelion, FirstOrderEqualsRelionCtfToolbox) {
  REQUIRE_PROGRAM("relion_ctf_toolbox");
  const TemporaryFolder folder;
  CtfParameters p;
  p.voltage = 200;
  p.spherical_aberration = 2;
  p.defocus_u = 9000;
  p.defocus_v = 8000;
  p.defocus_angle = 30;
  p.phase_shift = 20;
  ASSERT_EQ(run_program("cd '" + folder.path().string() +
                        "' && relion_ctf_toolbox --simulate ctf.mrc --angpix 1.3 --box 64 --kV 200 --Q0 0.1 --Cs 2 "
                        "--defU 9000 --defV 8000 --defAng 30 --phase_shift 20"),
            0);
  auto ctf = torch::empty({std::int64_t{kBox}, std::int64_t{kBox}});
  MrcFile(folder / "ctf.mrc").read_section(0, ctf.data_ptr<float>());
  // The CTF with its origin at pixel box/2, so that its inverse transform is the image of a point.
  const auto image =
      torch::fft::fftshift(torch::real(torch::fft::ifft2(torch::fft::ifftshift(ctf.to(torch::kDouble)))));
  EXPECT_LT(difference(first_order_image(p), image), 1e-5);
}

}  // namespace
}  // namespace cryored
