// Simulated particles and real RELION: its projections are ours, its reconstruction from the true poses is the truth,
// and its refinement takes the files as they are.

#include "tests/red/relion.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/shells.hpp"
#include "simulation/imager.hpp"
#include "simulation/particles.hpp"

namespace cryored {
namespace {

ParticleOptions options() {
  ParticleOptions o;
  o.box = 48;
  o.pixel_size = 3;
  o.count = 60;
  o.shift_sigma = 1.5;
  o.ctf.on = true;
  o.ctf.astigmatism = 1500;
  o.ctf.phase_shift = 20;
  o.ctf.least_b_factor = 20;
  o.ctf.most_b_factor = 90;
  return o;
}

Structure structure() { return read_structure(CRYORED_TEST_DATA "/4AKE.pdb.gz"); }

TEST(SimulationRelion, ProjectionsAreThoseOfRelionProject) {
  REQUIRE_PROGRAM("relion_project");
  const TemporaryFolder folder;
  const ParticleOptions o = options();
  const ParticleFiles files = simulate_particles(structure(), o, folder.path().string());
  for (const bool ctf : {false, true}) {
    ASSERT_EQ(run_program("cd '" + folder.path().string() +
                          "' && relion_project --i truth.mrc --ang particles_truth.star --o relion --angpix 3" +
                          (ctf ? " --ctf" : "")),
              0);
    project_particles(read_mrc(files.truth), o.pixel_size, files.truth_star, ctf, folder / "ours.mrcs");
    const Map a = read_mrc(folder / "ours.mrcs"), b = read_mrc(folder / "relion.mrcs");
    ASSERT_EQ(a.size(), b.size());
    // RELION's slices reach to Nyquist, ours end a shell before: compared is what both have.
    double error = 0, power = 0;
    Map x(o.box, o.box, 1), y(o.box, o.box, 1);
    for (std::size_t i = 0; i < a.nz; ++i) {
      std::copy_n(&a(0, 0, i), x.size(), x.data.data());
      std::copy_n(&b(0, 0, i), y.size(), y.data.data());
      const HalfTransform s = forward(x), t = forward(y);
      for (std::size_t ky = 0; ky < o.box; ++ky)
        for (std::size_t kx = 0; kx <= o.box / 2; ++kx) {
          if (std::hypot(double(kx), double(signed_frequency(ky, o.box))) > double(o.box) / 2 - 1) continue;
          error += std::norm(s(kx, ky, 0) - t(kx, ky, 0));
          power += std::norm(t(kx, ky, 0));
        }
    }
    EXPECT_LT(std::sqrt(error / power), 3e-4)  // the transform is kept in half floats
        << (ctf ? "with CTF" : "without CTF");
  }
}

TEST(SimulationRelion, ReconstructionFromTheTruePosesIsTheTruth) {
  REQUIRE_PROGRAM("relion_reconstruct");
  const TemporaryFolder folder;
  ParticleOptions o = options();
  o.count = 1500;
  o.snr = 5;
  o.ctf.beam_tilt_x = 1;
  o.ctf.beam_tilt_y = -2;
  o.noise.coloured = true;
  const ParticleFiles files = simulate_particles(structure(), o, folder.path().string());
  ASSERT_EQ(
      run_program("cd '" + folder.path().string() +
                  "' && relion_reconstruct --i particles_truth.star --o map.mrc --ctf --angpix 3 --skip_gridding"),
      0);
  const auto curve = fsc(read_mrc(folder / "map.mrc"), read_mrc(files.truth));
  for (std::size_t s = 1; s < 22; ++s) EXPECT_GT(curve[s], 0.95) << "shell " << s;
}

TEST(SimulationRelion, RefinementTakesTheFilesAsTheyAre) {
  REQUIRE_PROGRAM("relion_refine");
  const TemporaryFolder folder;
  const ParticleOptions o = options();
  simulate_particles(structure(), o, folder.path().string());
  ASSERT_EQ(run_program("cd '" + folder.path().string() +
                        "' && relion_refine --i particles.star --ref initial.mrc --o ./run --iter 1 --K 1 --ctf "
                        "--ini_high 40 --particle_diameter 120 --flatten_solvent --zero_mask --norm --scale --pad 1 "
                        "--healpix_order 1 --offset_range 3 --offset_step 2 --oversampling 0 --j 1 --dont_check_norm"),
            0)
      << "RELION refused the files";
  const StarFile star = read_star(folder / "run_it001_data.star");
  EXPECT_EQ(star.require("particles").rows(), 60u);
  EXPECT_TRUE(star.require("particles").has("rlnDefocusU"));
  EXPECT_EQ(star.require("optics").number(0, "rlnImagePixelSize"), 3);
}

}  // namespace
}  // namespace cryored
