#include "phase_testing.hpp"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <random>

#include "core/fourier/fft.hpp"

namespace cryored_test {

using namespace cryored;

namespace {

CtfParameters ctf_of(int i) {
  CtfParameters ctf;
  ctf.voltage = 300;
  ctf.spherical_aberration = 2.7;
  ctf.amplitude_contrast = 0.1;
  ctf.defocus_u = 9000 + 500 * (i % 7);
  ctf.defocus_v = ctf.defocus_u - 300;
  ctf.defocus_angle = 10 * (i % 5);
  return ctf;
}

void write_stack(const std::string& path, const TestGroup& group, int first, double noise) {
  MrcStackWriter writer(path, group.box, group.box, static_cast<std::size_t>(group.count), group.pixel_size);
  std::mt19937 random(static_cast<unsigned>(first) + 7);
  std::normal_distribution<float> normal;
  for (int i = 0; i < group.count; ++i) {
    HalfTransform half = forward(true_image(group, i));
    const Ctf ctf(ctf_of(i));
    const std::vector<float> values = ctf_values(ctf, group.box, group.pixel_size);
    for (std::size_t k = 0; k < half.size(); ++k) half.data[k] *= values[k];
    Map image = inverse(std::move(half), group.box);
    for (float& v : image.data) v = v / static_cast<float>(noise) + normal(random);
    writer.append(image.data.data());
  }
  writer.close();
}

}  // namespace

std::vector<float> ctf_values(const Ctf& ctf, std::size_t box, double pixel_size) {
  const double unit = 1 / (static_cast<double>(box) * pixel_size);
  std::vector<float> values;
  for (std::size_t y = 0; y < box; ++y)
    for (std::size_t x = 0; x <= box / 2; ++x)
      values.push_back(static_cast<float>(
          ctf.value(static_cast<double>(x) * unit, static_cast<double>(signed_frequency(y, box)) * unit)));
  return values;
}

Map true_image(const TestGroup& group, int i) {
  Map map(group.box, group.box, 1);
  const double n = static_cast<double>(group.box), s = n / 12;
  for (std::size_t y = 0; y < group.box; ++y)
    for (std::size_t x = 0; x < group.box; ++x) {
      const double dx = static_cast<double>(x) - n / 2, dy = static_cast<double>(y) - n / 2;
      const double angle = 0.6 * i, ax = s * 1.5 * std::cos(angle), ay = s * 1.5 * std::sin(angle);
      const auto blob = [&](double cx, double cy, double w) {
        return std::exp(-((dx - cx) * (dx - cx) + (dy - cy) * (dy - cy)) / (2 * w * w));
      };
      map(x, y, 0) = static_cast<float>(blob(ax, ay, s) + 0.7 * blob(-ax, -ay, s * 0.7));
    }
  return map;
}

std::string write_particles(const std::string& folder, const TestParticles& what) {
  StarFile star;
  StarTable optics, particles;
  optics.name = "optics";
  optics.labels = {"rlnOpticsGroup",       "rlnOpticsGroupName", "rlnVoltage",   "rlnSphericalAberration",
                   "rlnAmplitudeContrast", "rlnImagePixelSize",  "rlnImageSize", "rlnImageDimensionality"};
  particles.name = what.relion30 ? "" : "particles";
  particles.labels = {"rlnImageName", "rlnMicrographName", "rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle"};
  const std::vector<std::string> more =
      what.relion30 ? std::vector<std::string>{"rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast",
                                               "rlnDetectorPixelSize", "rlnMagnification"}
                    : std::vector<std::string>{"rlnOpticsGroup"};
  particles.labels.insert(particles.labels.end(), more.begin(), more.end());
  int longest = 0;
  for (std::size_t g = 0; g < what.groups.size(); ++g) {
    const TestGroup& group = what.groups[g];
    longest = std::max(longest, group.count);
    write_stack(fmt::format("{}/stack_{}.mrcs", folder, g + 1), group, static_cast<int>(g), what.noise);
    optics.add_row({fmt::format("{}", g + 1), fmt::format("opticsGroup{}", g + 1), "300", "2.7", "0.1",
                    fmt::format("{}", group.pixel_size), fmt::format("{}", group.box), "2"});
  }
  for (int i = 0; i < longest; ++i)
    for (std::size_t g = 0; g < what.groups.size(); ++g) {
      if (i >= what.groups[g].count) continue;
      const CtfParameters ctf = ctf_of(i);
      std::vector<std::string> row = {fmt::format("{:06}@{}/stack_{}.mrcs", i + 1, folder, g + 1),
                                      fmt::format("mic_{}.mrc", i / 10), fmt::format("{:.6f}", ctf.defocus_u),
                                      fmt::format("{:.6f}", ctf.defocus_v), fmt::format("{:.6f}", ctf.defocus_angle)};
      if (what.relion30) {
        for (const char* value : {"300", "2.7", "0.1", "5.0"}) row.emplace_back(value);
        row.push_back(fmt::format("{:.6f}", 5e4 / what.groups[g].pixel_size));
      } else {
        row.push_back(fmt::format("{}", g + 1));
      }
      particles.add_row(row);
    }
  if (!what.relion30) star.tables.push_back(std::move(optics));
  star.tables.push_back(std::move(particles));
  const std::string path = folder + "/in.star";
  write_star(path, star);
  return path;
}

void edit_star(const std::string& path, const std::string& block, std::size_t row, const std::string& label,
               const std::string& value) {
  StarFile star = read_star(path);
  StarTable& table = star.require(block);
  if (!table.has(label)) table.add_column(label, "0");
  table.set(row, label, value);
  write_star(path, star);
}

void drop_column(const std::string& path, const std::string& block, const std::string& label) {
  StarFile star = read_star(path);
  star.require(block).remove_column(label);
  write_star(path, star);
}

void poke(const std::string& stack, std::size_t section, std::size_t x, std::size_t y, float value) {
  const MrcHeader header = read_mrc_header(stack);
  std::fstream file(stack, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(header.data_offset + 4 * ((section * header.ny + y) * header.nx + x)));
  file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

double correlation(const float* a, const float* b, std::size_t count) {
  double ma = 0, mb = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ma += a[i];
    mb += b[i];
  }
  ma /= static_cast<double>(count);
  mb /= static_cast<double>(count);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < count; ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace cryored_test
