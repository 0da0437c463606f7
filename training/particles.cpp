#include "training/particles.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <random>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/fft.hpp"
#include "training/projector.hpp"

namespace cryored {
namespace {

/// Raised-cosine low-pass over two shells about the resolution.
Map low_passed(const Map& map, double pixel_size, double resolution) {
  HalfTransform t = forward(map);
  const double edge = static_cast<double>(map.nx) * pixel_size / resolution;
  for (std::size_t z = 0; z < t.nz; ++z)
    for (std::size_t y = 0; y < t.ny; ++y)
      for (std::size_t x = 0; x < t.nx; ++x) {
        const auto ky = static_cast<double>(signed_frequency(y, t.ny)),
                   kz = static_cast<double>(signed_frequency(z, t.nz));
        const double s = std::sqrt(static_cast<double>(x * x) + ky * ky + kz * kz);
        const double u = std::clamp((s - edge + 1) / 2, 0.0, 1.0);
        t(x, y, z) *= static_cast<float>(0.5 * (1 + std::cos(std::numbers::pi * u)));
      }
  return inverse(t, map.nx);
}

StarTable optics_table(const ParticleOptions& o) {
  StarTable t;
  t.name = "optics";
  t.labels = {"rlnOpticsGroup",       "rlnOpticsGroupName", "rlnVoltage",   "rlnSphericalAberration",
              "rlnAmplitudeContrast", "rlnImagePixelSize",  "rlnImageSize", "rlnImageDimensionality"};
  t.add_row({"1", "simulated", "300", "2.7", "0.1", fmt::format("{}", o.pixel_size), std::to_string(o.box), "2"});
  return t;
}

}  // namespace

ParticleFiles simulate_particles(const Structure& structure, const ParticleOptions& o, const std::string& folder,
                                 const std::function<void(int)>& progress) {
  namespace fs = std::filesystem;
  if (o.count < 2 || o.snr <= 0 || o.box < 16 || o.box % 2)
    throw UsageError(Problem{"particle options", "count, SNR, box", fmt::format("{}, {}, {}", o.count, o.snr, o.box),
                             "at least 2 particles, SNR above 0, an even box of 16 or more", "change them"});
  fs::create_directories(folder);
  const auto at = [&](const char* name) { return (fs::path(folder) / name).string(); };
  const ParticleFiles files{at("particles.mrcs"), at("particles.star"), at("particles_truth.star"), at("truth.mrc"),
                            at("initial.mrc")};

  DensityOptions density;
  density.box = o.box;
  density.voxel = o.pixel_size;
  density.b_factor = o.b_factor;
  Map truth = density_map(structure, density);

  std::mt19937_64 rng(o.seed);
  const int radius = static_cast<int>(o.box / 2) - 1;
  const SlicePixels pixels = slice_pixels(o.box, radius);
  std::vector<std::complex<float>> slice(pixels.size());
  double scale = 0;
  {
    // Mean variance over views, from views of their own, sets the grey scale: noise has unit variance.
    const Projector projector(truth, 2, radius);
    std::mt19937_64 views(o.seed + 0x5eed);
    double variance = 0;
    constexpr int kViews = 64;
    for (int i = 0; i < kViews; ++i) {
      projector.slice(pixels, random_rotation(views), slice.data());
      for (std::size_t p = 0; p < pixels.size(); ++p)
        if (pixels.kx[p] != 0 || pixels.ky[p] != 0) variance += 2 * std::norm(slice[p]) / kViews;
    }
    scale = std::sqrt(o.snr / variance);
  }
  for (float& v : truth.data) v = static_cast<float>(v * scale);
  const Projector projector(truth, 2, radius);

  StarFile plain, known;
  plain.tables.push_back(optics_table(o));
  StarTable rows;
  rows.name = "particles";
  rows.labels = {"rlnImageName", "rlnMicrographName", "rlnOpticsGroup", "rlnRandomSubset"};
  StarTable truths = rows;
  truths.labels.insert(truths.labels.end(),
                       {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"});

  // RELION takes paths relative to its own working folder, which is not known here.
  const std::string stack_path = fs::absolute(files.stack).lexically_normal().string();
  MrcStackWriter stack(files.stack, o.box, o.box, static_cast<std::size_t>(o.count), o.pixel_size);
  std::normal_distribution<double> shift(0, o.shift_sigma);
  std::normal_distribution<float> noise(0, 1);
  for (int i = 0; i < o.count; ++i) {
    const Rotation rotation = random_rotation(rng);
    const double dx = shift(rng), dy = shift(rng);
    projector.slice(pixels, rotation, slice.data());
    Map image = image_from_slice(pixels, slice.data(), dx, dy);
    for (float& v : image.data) v += noise(rng);
    stack.append(image.data.data());
    const EulerAngles e = euler_from(rotation);
    std::vector<std::string> cells = {fmt::format("{:06d}@{}", i + 1, stack_path), fmt::format("micrograph{}", i % 10),
                                      "1", std::to_string(1 + i % 2)};
    rows.add_row(cells);
    // RELION's origins are the moves that bring the particle back to the centre.
    for (const double v : {e.rot, e.tilt, e.psi, -dx * o.pixel_size, -dy * o.pixel_size})
      cells.push_back(fmt::format("{:.6f}", v));
    truths.add_row(cells);
    if (progress) progress(i + 1);
  }
  stack.close();
  known.tables = plain.tables;
  plain.tables.push_back(std::move(rows));
  known.tables.push_back(std::move(truths));
  write_star(files.star, plain);
  write_star(files.truth_star, known);
  write_mrc(files.truth, truth, o.pixel_size);
  write_mrc(files.initial, low_passed(truth, o.pixel_size, o.start_resolution), o.pixel_size);
  return files;
}

}  // namespace cryored
