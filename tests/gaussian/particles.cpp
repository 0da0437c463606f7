#include "tests/gaussian/particles.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <numbers>
#include <random>
#include <sstream>
#include <stdexcept>

#include "core/formats/mrc.hpp"

namespace cryored {
namespace {

using Vector = std::array<double, 3>;

/// RELION's rotation for (rot, tilt, psi) in radians.
std::array<Vector, 3> rotation(double rot, double tilt, double psi) {
  const double ca = std::cos(rot), sa = std::sin(rot), cb = std::cos(tilt), sb = std::sin(tilt);
  const double cg = std::cos(psi), sg = std::sin(psi);
  return {{{cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb},
           {-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb},
           {sb * ca, sb * sa, cb}}};
}

struct Blobs {
  std::vector<Vector> centres;
  std::vector<double> weights;
  double sigma;
};

/// Adds a blob's profile along each of `axes` axes.
void add_blob(std::vector<double>& out, int box, int axes, const Vector& centre, double weight, double sigma) {
  std::array<std::vector<double>, 3> profile;
  for (int a = 0; a < axes; ++a)
    for (int i = 0; i < box; ++i) {
      const double d = i - box / 2.0 - centre[static_cast<std::size_t>(a)];
      profile[static_cast<std::size_t>(a)].push_back(std::exp(-d * d / (2 * sigma * sigma)));
    }
  std::size_t index = 0;
  for (int z = 0; z < (axes == 3 ? box : 1); ++z)
    for (int y = 0; y < box; ++y)
      for (int x = 0; x < box; ++x, ++index)
        out[index] += weight * profile[0][static_cast<std::size_t>(x)] * profile[1][static_cast<std::size_t>(y)] *
                      (axes == 3 ? profile[2][static_cast<std::size_t>(z)] : 1);
}

}  // namespace

void write_particles(const std::filesystem::path& folder, int box, int count, double pixel_size) {
  std::mt19937 random(static_cast<unsigned>(box));
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Blobs blobs;
  blobs.sigma = box / 64.0 * 1.2 + 0.5;
  for (int i = 0; i < 40; ++i) {
    blobs.centres.push_back({normal(random) * box * 0.11, normal(random) * box * 0.11, normal(random) * box * 0.11});
    blobs.weights.push_back(0.5 + 1.5 * uniform(random));
  }
  const auto n = static_cast<std::size_t>(box);
  std::ofstream star(folder / "particles.star");
  star
      << "\ndata_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnOpticsGroupName #2\n_rlnImagePixelSize #3\n_rlnImageSize #4\n"
         "_rlnImageDimensionality #5\n_rlnVoltage #6\n_rlnSphericalAberration #7\n_rlnAmplitudeContrast #8\n1 group1 "
      << pixel_size << ' ' << box
      << " 2 300 2.7 0.1\n\ndata_particles\n\nloop_\n_rlnImageName #1\n_rlnAngleRot #2\n_rlnAngleTilt #3\n"
         "_rlnAnglePsi #4\n_rlnOriginXAngst #5\n_rlnOriginYAngst #6\n_rlnOpticsGroup #7\n_rlnRandomSubset #8\n";
  MrcStackWriter stack((folder / "particles.mrcs").string(), n, n, static_cast<std::size_t>(count), pixel_size);
  constexpr double degrees = 180 / std::numbers::pi;
  for (int i = 0; i < count; ++i) {
    const double rot = 2 * std::numbers::pi * uniform(random), tilt = std::acos(2 * uniform(random) - 1);
    const double psi = 2 * std::numbers::pi * uniform(random);
    const auto turn = rotation(rot, tilt, psi);
    std::vector<double> image(n * n);
    for (std::size_t b = 0; b < blobs.centres.size(); ++b) {
      Vector seen{};
      for (std::size_t r = 0; r < 3; ++r)
        for (std::size_t c = 0; c < 3; ++c) seen[r] += turn[r][c] * blobs.centres[b][c];
      add_blob(image, box, 2, seen, blobs.weights[b], blobs.sigma);
    }
    double mean = 0, square = 0;
    for (const double v : image) mean += v, square += v * v;
    mean /= static_cast<double>(image.size());
    const double deviation = std::sqrt(square / static_cast<double>(image.size()) - mean * mean);
    std::vector<float> noisy;
    noisy.reserve(image.size());
    for (const double v : image) noisy.push_back(static_cast<float>(v + 2 * deviation * normal(random)));
    stack.append(noisy.data());
    star << std::setw(6) << std::setfill('0') << i + 1 << "@particles.mrcs " << rot * degrees << ' ' << tilt * degrees
         << ' ' << psi * degrees << " 0 0 1 " << i % 2 + 1 << '\n';
  }
  stack.close();
  if (box > 64) return;
  std::vector<double> density(n * n * n);
  for (std::size_t b = 0; b < blobs.centres.size(); ++b)
    add_blob(density, box, 3, blobs.centres[b], blobs.weights[b] / (std::sqrt(2 * std::numbers::pi) * blobs.sigma),
             blobs.sigma);
  Map map(n, n, n);
  for (std::size_t i = 0; i < density.size(); ++i) map.data[i] = static_cast<float>(density[i]);
  write_mrc((folder / "reference.mrc").string(), map, pixel_size);
}

bool have_program(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

int run_relion(const TemporaryFolder& folder, const std::string& external, const std::string& command,
               bool failure_expected) {
  const std::string log = folder / "log";
  const int status = std::system(("cd '" + folder.path().string() + "' && RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE='" +
                                  external + "' " + command + " >'" + log + "' 2>&1")
                                     .c_str());
  if (status != 0 && !failure_expected) {
    std::ifstream file(log);
    std::stringstream text;
    text << file.rdbuf();
    const std::string all = text.str();
    ADD_FAILURE() << command << " ended with status " << status << ":\n"
                  << all.substr(all.size() > 2000 ? all.size() - 2000 : 0);
  }
  return status;
}

void append_tau2(const std::string& star, int box, double padding_volume_times_mean_weight, const std::string& shape) {
  std::ofstream out(star, std::ios::app);
  out << "\n# version 30001\n\ndata_external_reconstruct_tau2\n\nloop_ \n_rlnSpectralIndex #1 \n_rlnReferenceTau2 #2 \n"
         "_rlnGoldStandardFsc #3 \n";
  for (int s = 0; s <= box / 2; ++s) {
    double tau2 = std::exp(-8.0 * s / box) / padding_volume_times_mean_weight;
    if (shape == "zero" || (shape == "cut" && s >= box / 4)) tau2 = 0;
    const double fsc = shape == "zero" ? 0 : std::max(0.0, 1 - 2.2 * s / box);
    out << std::setw(12) << s << ' ' << std::scientific << std::setprecision(6) << tau2 << ' ' << std::fixed << fsc
        << '\n';
  }
}

}  // namespace cryored
