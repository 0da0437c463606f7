#include "training/particles.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "small_structure.hpp"
#include "training/projector.hpp"

namespace cryored {
namespace {

TEST(Particles, StackHasTheStatedSignalToNoiseAndTheTruthsPoses) {
  const auto folder = std::filesystem::temp_directory_path() / "cryored_particles_test";
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
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cryored
