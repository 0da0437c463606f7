#include "evaluation/phase_stack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>
#include <thread>

#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/imaging/electrons.hpp"
#include "simulation/potential.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

constexpr int kBatch = 64;

PhaseImageOptions particle(const PhaseStackOptions& o, int i) {
  std::mt19937_64 random(o.seed * 1000003 + static_cast<std::uint64_t>(i));
  PhaseImageOptions image = draw_exposure(o, random);
  image.ctf.defocus_u = image.ctf.defocus_v = std::round(image.ctf.defocus_u);  // as the STAR file says it
  std::normal_distribution<double> shift(0, 1);
  image.x = o.shift * shift(random);
  image.y = o.shift * shift(random);
  image.seed = random();
  return image;
}

StarTable optics_table(const PhaseStackOptions& o) {
  StarTable t;
  t.name = "optics";
  t.labels = {"rlnOpticsGroup",       "rlnOpticsGroupName", "rlnVoltage",   "rlnSphericalAberration",
              "rlnAmplitudeContrast", "rlnImagePixelSize",  "rlnImageSize", "rlnImageDimensionality"};
  t.add_row({"1", "simulated", fmt::format("{}", o.ctf.voltage), fmt::format("{}", o.ctf.spherical_aberration),
             fmt::format("{}", o.ctf.amplitude_contrast), fmt::format("{}", o.pixel_size), std::to_string(o.box), "2"});
  return t;
}

}  // namespace

bool make_phase_stack(const Structure& structure, const PhaseStackOptions& o, const std::string& folder,
                      const SimulateExposures& simulate, int threads, const std::function<void(int)>& progress,
                      const std::function<bool()>& cancelled) {
  const auto at = [&](const char* name) { return (fs::path(folder) / name).string(); };
  fs::create_directories(folder);
  StarTable plain, known;
  plain.name = "particles";
  plain.labels = {"rlnImageName", "rlnMicrographName", "rlnOpticsGroup",  "rlnRandomSubset",
                  "rlnDefocusU",  "rlnDefocusV",       "rlnDefocusAngle", "rlnPhaseShift"};
  known = plain;
  known.labels.insert(known.labels.end(),
                      {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"});
  const double contrast = background_contrast(o.dose, o.pixel_size);
  MrcStackWriter stack(at("particles.mrcs"), o.box, o.box, static_cast<std::size_t>(o.count), o.pixel_size);
  for (int begin = 0; begin < o.count; begin += kBatch) {
    const int count = std::min(kBatch, o.count - begin);
    std::vector<Map> images(static_cast<std::size_t>(count));
    in_parallel(count, threads, [&](int i) {
      Map image = std::move(simulate(structure, particle(o, begin + i), 1, 0).intensities[0]);
      image_from_intensity(contrast, image.size(), image.data.data());
      images[static_cast<std::size_t>(i)] = std::move(image);
    });
    for (int i = 0; i < count; ++i) {
      stack.append(images[static_cast<std::size_t>(i)].data.data());
      const PhaseImageOptions p = particle(o, begin + i);
      std::vector<std::string> cells = {fmt::format("{:06}@{}", begin + i + 1, at("particles.mrcs")),
                                        fmt::format("micrograph{}", (begin + i) % 10),
                                        "1",
                                        std::to_string(1 + (begin + i) % 2),
                                        fmt::format("{:.1f}", p.ctf.defocus_u),
                                        fmt::format("{:.1f}", p.ctf.defocus_v),
                                        "0",
                                        "0"};
      plain.add_row(cells);
      const EulerAngles e = euler_from(p.rotation);
      // RELION's origins are the moves that bring the particle back to the centre.
      for (const double v : {e.rot, e.tilt, e.psi, -p.x, -p.y}) cells.push_back(fmt::format("{:.6f}", v));
      known.add_row(cells);
    }
    if (progress) progress(begin + count);
    if (cancelled && cancelled()) return false;
  }
  stack.close();

  DensityOptions density;
  density.box = o.box;
  density.voxel = o.pixel_size;
  density.b_factor = o.b_factor;
  Map truth = potential_map(structure, density);
  // To first order 1 - g = 2 sigma CTF V_z, and the image is (1 - g) / c; V_z is a sum of voxels times their edge. Here
  // without the hydrogens and the displaced ice of the images, which an FSC hardly minds.
  const double scale = 2 * interaction_parameter(o.ctf.voltage) * o.pixel_size / contrast;
  for (float& v : truth.data) v = static_cast<float>(v * scale);
  write_mrc(at("truth.mrc"), truth, o.pixel_size);
  StarFile star;
  star.tables = {optics_table(o), std::move(known)};
  write_star(at("particles_truth.star"), star);
  star.tables = {optics_table(o), std::move(plain)};
  write_star(at("particles.star"), star);
  return true;
}

}  // namespace cryored
