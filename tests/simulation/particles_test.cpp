#include "simulation/particles.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "core/imaging/ctf_star.hpp"
#include "simulation/data_set.hpp"
#include "simulation/imager.hpp"
#include "simulation/projector.hpp"
#include "tests/red/relion.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

TEST(Particles, StackHasTheStatedSignalToNoiseAndTheTruthsPoses) {
  const TemporaryFolder scratch;
  const auto& folder = scratch.path();
  ParticleOptions o;
  o.box = 32;
  o.pixel_size = 2;
  o.count = 60;
  o.snr = 25;
  const ParticleFiles files = simulate_particles(test::small_structure(), o, folder.string());
  const Map stack = read_mrc(files.stack), truth = read_mrc(files.truth);
  ASSERT_EQ(stack.nz, 60u);
  double sum = 0, squares = 0;
  for (const float v : stack.data) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const StarFile star = read_star(files.truth_star);
  const StarTable& rows = star.require("particles");
  ASSERT_EQ(rows.rows(), 60u);
  const SlicePixels pixels = slice_pixels(32, 15);
  const Projector projector(truth, 2, 15);
  std::vector<std::complex<float>> slice(pixels.size());
  double residual = 0, signal = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    const Rotation r =
        rotation_from({rows.number(i, "rlnAngleRot"), rows.number(i, "rlnAngleTilt"), rows.number(i, "rlnAnglePsi")});
    projector.slice(pixels, r, slice.data());
    const Map image = image_from_slice(pixels, slice.data(), -rows.number(i, "rlnOriginXAngst") / 2,
                                       -rows.number(i, "rlnOriginYAngst") / 2);
    double mean = 0, power = 0;
    for (std::size_t p = 0; p < image.size(); ++p) {
      residual += std::pow(stack.data[i * image.size() + p] - image.data[p], 2);
      mean += image.data[p];
      power += static_cast<double>(image.data[p]) * image.data[p];
    }
    mean /= static_cast<double>(image.size());
    signal += power / static_cast<double>(image.size()) - mean * mean;
  }
  EXPECT_NEAR(residual / static_cast<double>(stack.size()), 1, 0.02) << "unit noise about the true projections";
  EXPECT_NEAR(signal / 60 / 25, 1, 0.1);
  const StarFile plain = read_star(files.star);
  EXPECT_FALSE(plain.require("particles").has("rlnAngleRot"));
  EXPECT_DOUBLE_EQ(plain.require("optics").number(0, "rlnImagePixelSize"), 2);
}

ParticleOptions small_options() {
  ParticleOptions o;
  o.box = 32;
  o.pixel_size = 2;
  o.count = 40;
  o.snr = 0.5;
  return o;
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// Mean power of a stack's images per shell, of forward()'s coefficients times the number of pixels: 1 for white noise
/// of unit variance.
std::vector<double> stack_power(const Map& stack) {
  std::vector<double> mean(stack.nx / 2 + 1);
  Map image(stack.nx, stack.ny, 1);
  for (std::size_t i = 0; i < stack.nz; ++i) {
    std::copy_n(&stack(0, 0, i), image.size(), image.data.data());
    const auto power = shell_power(forward(image));
    for (std::size_t s = 0; s < mean.size(); ++s)
      mean[s] += power[s] * static_cast<double>(image.size()) / static_cast<double>(stack.nz);
  }
  return mean;
}

TEST(Particles, FilesDoNotDependOnTheNumberOfThreads) {
  const TemporaryFolder a, b;
  ParticleOptions o = small_options();
  o.count = 700;  // more than a block
  o.ctf.on = true;
  o.noise.coloured = true;
  set_threads(1);
  const ParticleFiles one = simulate_particles(test::small_structure(), o, a.path().string());
  set_threads(3);
  const ParticleFiles three = simulate_particles(test::small_structure(), o, b.path().string());
  set_threads(0);
  EXPECT_EQ(bytes_of(one.stack), bytes_of(three.stack));
  EXPECT_EQ(bytes_of(one.truth), bytes_of(three.truth));
  o.seed = 2;
  EXPECT_NE(bytes_of(one.stack), bytes_of(simulate_particles(test::small_structure(), o, b.path().string()).stack));
}

TEST(Particles, CtfColumnsAreWhatWasApplied) {
  const TemporaryFolder folder;
  ParticleOptions o = small_options();
  o.snr = 50;
  o.ctf.on = true;
  o.ctf.astigmatism = 2000;
  o.ctf.phase_shift = 30;
  o.ctf.least_b_factor = 40;
  o.ctf.most_b_factor = 80;
  o.ctf.beam_tilt_x = 2;
  const ParticleFiles files = simulate_particles(test::small_structure(), o, folder.path().string());
  EXPECT_NEAR(files.snr, 50, 1e-6);
  project_particles(read_mrc(files.truth), o.pixel_size, files.truth_star, true, folder / "again.mrcs");
  const Map noisy = read_mrc(files.stack), clean = read_mrc(folder / "again.mrcs");
  double residual = 0, signal = 0;
  for (std::size_t i = 0; i < noisy.size(); ++i) {
    residual += std::pow(static_cast<double>(noisy.data[i]) - clean.data[i], 2);
    signal += std::pow(static_cast<double>(clean.data[i]), 2);
  }
  EXPECT_NEAR(residual / static_cast<double>(noisy.size()), 1, 0.03);
  EXPECT_GT(signal / static_cast<double>(noisy.size()), 25);
  const StarFile star = read_star(files.star);
  const CtfTable table(star.require("particles"), star.find("optics"));
  for (std::size_t i = 0; i < 40; ++i) {
    const CtfParameters p = table.of_row(i);
    EXPECT_GE(p.defocus_u, p.defocus_v);
    EXPECT_LE(p.defocus_u - p.defocus_v, 2000.02);
    const double mean = (p.defocus_u + p.defocus_v) / 2;
    EXPECT_TRUE(mean >= 7999.9 && mean <= 20000.1) << mean;
    EXPECT_TRUE(p.b_factor >= 40 && p.b_factor <= 80) << p.b_factor;
    EXPECT_EQ(p.phase_shift, 30);
    EXPECT_EQ(p.beam_tilt_x, 2);
  }
}

TEST(Particles, ColouredNoiseHasTheStatedSpectrumAndUnitVariance) {
  const TemporaryFolder folder;
  ParticleOptions o = small_options();
  o.count = 400;
  o.noise_only = true;
  o.noise.coloured = true;
  o.noise.falloff = 10;
  const Map stack = read_mrc(simulate_particles(test::small_structure(), o, folder.path().string()).stack);
  double variance = 0;
  for (const float v : stack.data) variance += static_cast<double>(v) * v / static_cast<double>(stack.size());
  EXPECT_NEAR(variance, 1, 0.02);
  const auto power = stack_power(stack);
  const auto stated = [](double shell) { return 0.2 + 0.8 / (1 + std::pow(shell * 10 / 64, 2)); };
  for (const std::size_t s : {3u, 8u, 15u}) EXPECT_NEAR(power[s] / power[5], stated(double(s)) / stated(5), 0.06) << s;
}

TEST(Particles, PhasesBeyondTheLimitAreRandomAndAmplitudesAreKept) {
  const TemporaryFolder a, b;
  ParticleOptions o = small_options();
  o.snr = 1e4;  // so that what is compared is the signal
  o.count = 200;
  const ParticleFiles with = simulate_particles(test::small_structure(), o, a.path().string());
  o.randomise_phases_beyond = 16;  // shell 4
  const ParticleFiles without = simulate_particles(test::small_structure(), o, b.path().string());
  const Map x = read_mrc(with.stack), y = read_mrc(without.stack);
  Map p(32, 32, 1), q(32, 32, 1);
  std::vector<double> likeness(17);
  for (std::size_t i = 0; i < x.nz; ++i) {
    std::copy_n(&x(0, 0, i), p.size(), p.data.data());
    std::copy_n(&y(0, 0, i), q.size(), q.data.data());
    const auto curve = fsc(p, q);
    for (std::size_t s = 0; s < curve.size(); ++s) likeness[s] += curve[s] / static_cast<double>(x.nz);
  }
  for (const std::size_t s : {1u, 2u, 3u}) EXPECT_GT(likeness[s], 0.99) << s;
  for (const std::size_t s : {5u, 8u, 12u}) EXPECT_LT(std::abs(likeness[s]), 0.1) << s;
  const auto before = stack_power(x), after = stack_power(y);
  for (const std::size_t s : {2u, 6u, 12u}) EXPECT_NEAR(after[s] / before[s], 1, 0.02) << s;
}

TEST(Particles, PreferredViewsLieAlongTheAxis) {
  const TemporaryFolder folder;
  ParticleOptions o = small_options();
  o.count = 1000;
  o.views.preferred = true;
  o.views.share = 0.7;
  o.views.spread = 10;
  const StarFile star = read_star(simulate_particles(test::small_structure(), o, folder.path().string()).truth_star);
  const StarTable& rows = star.require("particles");
  int near = 0, above = 0;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const double tilt = std::abs(rows.number(i, "rlnAngleTilt"));
    near += std::min(tilt, 180 - tilt) < 30;
    above += tilt < 90;
  }
  // 0.7 within 30 degrees but for exp(-4.5), and of the others the caps' share 1 - cos 30 degrees.
  EXPECT_NEAR(near / 1000.0, 0.7 * 0.989 + 0.3 * 0.134, 0.04);
  EXPECT_NEAR(above / 1000.0, 0.5, 0.05);
}

TEST(Particles, StartMaps) {
  const TemporaryFolder a, b;
  ParticleOptions o = small_options();
  const Map truth = read_mrc(simulate_particles(test::small_structure(), o, a.path().string()).initial);
  o.mirrored_start = true;
  const Map mirror = read_mrc(simulate_particles(test::small_structure(), o, b.path().string()).initial);
  for (std::size_t z = 1; z < 32; ++z) EXPECT_NEAR(mirror(13, 18, z), truth(13, 18, 32 - z), 1e-4);
}

TEST(Particles, FactorIsThePapersScale) {
  const TemporaryFolder a, b;
  ParticleOptions o = small_options();
  o.factor = 0.014;
  const double high = simulate_particles(test::small_structure(), o, a.path().string()).snr;
  o.factor = 0.010;
  const double low = simulate_particles(test::small_structure(), o, b.path().string()).snr;
  EXPECT_NEAR(low / high, std::pow(10.0 / 14, 2), 1e-3);  // Table 1: 0.0038 and 0.0019
  // One carbon: a Gaussian of height 6 and 1/e half width resolution / pi.
  Structure one;
  one.atoms.push_back({0, 0, 0, 6});
  const Map map = pdb_to_mrc(one, {32, 1, 6});
  EXPECT_NEAR(map(16, 16, 16), 6, 1e-6);
  EXPECT_NEAR(map(18, 16, 16), 6 * std::exp(-std::pow(2 * M_PI / 6, 2)), 1e-6);
}

TEST(Particles, BadOptionsAreRefused) {
  const TemporaryFolder folder;
  ParticleOptions o = small_options();
  o.ctf.on = true;
  o.ctf.least_defocus = 3e4;
  EXPECT_THROW(simulate_particles(test::small_structure(), o, folder.path().string()), UsageError);
  o = small_options();
  o.box = 33;
  EXPECT_THROW(simulate_particles(test::small_structure(), o, folder.path().string()), UsageError);
}

TEST(DataSet, IsMadeOnceAndHeldToItsOptions) {
  const TemporaryFolder folder;
  std::ofstream(folder / "1ABC.pdb")
      << "ATOM      1  N   GLY A   1      11.000  12.000  13.000  1.00 20.00           N\n"
         "ATOM      2  CA  GLY A   1      12.400  12.000  13.000  1.00 20.00           C\nEND\n";
  DataSet data;
  data.structure = folder / "1ABC.pdb";
  data.folder = folder / "1ABC";
  data.options = small_options();
  EXPECT_TRUE(prepare_data_set(data));
  EXPECT_NEAR(data.snr, 0.5, 1e-6);
  data.snr = 0;
  EXPECT_FALSE(prepare_data_set(data));
  EXPECT_NEAR(data.snr, 0.5, 1e-6);
  DataSet other = data;
  other.options.ctf.on = true;
  EXPECT_THROW(prepare_data_set(other), InputError);
  other = data;
  other.options.snr = 0.4;
  EXPECT_THROW(prepare_data_set(other), InputError);
}

}  // namespace
}  // namespace cryored
