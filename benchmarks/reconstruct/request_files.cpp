#include "benchmarks/reconstruct/request_files.hpp"

#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <numbers>
#include <vector>

#include "core/base/atomic_file.hpp"
#include "core/formats/mrc.hpp"

namespace cryored {
namespace {

const std::string stem = "run_it001_half1_class001_external_reconstruct";
constexpr int blob_count = 6;

/// Uniform in 0 .. 1 from k; the same for k and -k on kx = 0, which RELION's files hold twice.
double speckle(long kx, long ky, long kz, std::uint64_t salt) {
  if (kx == 0 && (ky < 0 || (ky == 0 && kz < 0))) ky = -ky, kz = -kz;
  std::uint64_t h = salt + static_cast<std::uint64_t>(kx + 4096) * 0x9e3779b97f4a7c15u +
                    static_cast<std::uint64_t>(ky + 4096) * 0xc2b2ae3d27d4eb4fu +
                    static_cast<std::uint64_t>(kz + 4096) * 0x165667b19e3779f9u;
  h ^= h >> 31;
  h *= 0xbf58476d1ce4e5b9u;
  h ^= h >> 29;
  return static_cast<double>(h >> 11) * 0x1p-53;
}

struct Field {
  int box, padded;
  std::vector<std::array<std::array<std::complex<double>, 3>, blob_count>> phase;  ///< by k + padded

  explicit Field(const RequestFiles& f) : box(f.box), padded(f.padding * f.box) {
    for (long k = -padded; k <= padded; ++k) {
      auto& here = phase.emplace_back();
      for (int b = 0; b < blob_count; ++b)
        for (int axis = 0; axis < 3; ++axis) {
          const double position = 0.22 * box * std::sin(1.7 * b + 2.1 * axis + 0.3);
          here[static_cast<std::size_t>(b)][static_cast<std::size_t>(axis)] =
              std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k) * position / padded);
        }
    }
  }

  double weight(long kx, long ky, long kz, double radius) const {
    return 4000.0 / (8 + radius) * (0.5 + speckle(kx, ky, kz, 1));
  }
  std::complex<double> data(long kx, long ky, long kz, double radius) const {
    std::complex<double> sum;
    for (std::size_t b = 0; b < blob_count; ++b)
      sum += phase[static_cast<std::size_t>(kx + padded)][b][0] * phase[static_cast<std::size_t>(ky + padded)][b][1] *
             phase[static_cast<std::size_t>(kz + padded)][b][2];
    const double fall = std::exp(-0.5 * std::pow(radius * 5 / padded, 2)), noise = 0.2;
    const bool second = kx == 0 && (ky < 0 || (ky == 0 && kz < 0)), real = kx == 0 && ky == 0 && kz == 0;
    const double imaginary = (speckle(kx, ky, kz, 3) - 0.5) * noise * (real ? 0 : second ? -1 : 1);
    return (sum * fall + std::complex<double>((speckle(kx, ky, kz, 2) - 0.5) * noise, imaginary)) *
           weight(kx, ky, kz, radius);
  }
};

template <typename F>
void write_array(const RequestFiles& files, const std::string& name, F value) {
  const long p = files.padding * files.box, nx = p / 2 + 1, cut = p / 2;
  Map map(static_cast<std::size_t>(nx), static_cast<std::size_t>(p), static_cast<std::size_t>(p));
#pragma omp parallel for schedule(static)
  for (long z = 0; z < p; ++z)
    for (long y = 0; y < p; ++y)
      for (long x = 0; x < nx; ++x) {
        const long ky = signed_frequency(static_cast<std::size_t>(y), static_cast<std::size_t>(p));
        const long kz = signed_frequency(static_cast<std::size_t>(z), static_cast<std::size_t>(p));
        const double radius = std::sqrt(static_cast<double>(x * x + ky * ky + kz * kz));
        map.data[static_cast<std::size_t>((z * p + y) * nx + x)] =
            radius > static_cast<double>(cut) ? 0.0f : static_cast<float>(value(x, ky, kz, radius));
      }
  write_mrc(files.folder + "/" + stem + name, map, files.pixel_size);
}

}  // namespace

std::string result_name() { return stem + ".mrc"; }

std::string write_request_files(const RequestFiles& files) {
  const Field field(files);
  write_array(files, "_weight.mrc", [&](long x, long y, long z, double r) { return field.weight(x, y, z, r); });
  write_array(files, "_data_real.mrc", [&](long x, long y, long z, double r) { return field.data(x, y, z, r).real(); });
  write_array(files, "_data_imag.mrc", [&](long x, long y, long z, double r) { return field.data(x, y, z, r).imag(); });
  std::string star = "\n# version 30001\n\ndata_external_reconstruct_general\n\n";
  const auto line = [&](const char* label, const std::string& value) {
    star += std::string("_") + label + "   " + value + "\n";
  };
  line("rlnExtReconsDataReal", stem + "_data_real.mrc");
  line("rlnExtReconsDataImag", stem + "_data_imag.mrc");
  line("rlnExtReconsWeight", stem + "_weight.mrc");
  line("rlnExtReconsResult", result_name());
  line("rlnExtReconsResultStarfile", stem + "_out.star");
  line("rlnTau2FudgeFactor", "1.000000");
  line("rlnPaddingFactor", std::to_string(files.padding) + ".000000");
  line("rlnReferenceDimensionality", "3");
  line("rlnOriginalImageSize", std::to_string(files.box));
  line("rlnCurrentImageSize", std::to_string(files.box));
  star +=
      "\n\n# version 30001\n\ndata_external_reconstruct_tau2\n\nloop_ \n_rlnSpectralIndex #1 \n"
      "_rlnReferenceTau2 #2 \n_rlnGoldStandardFsc #3 \n";
  for (int s = 0; s <= files.box / 2; ++s) {
    char row[96];
    const double x = 2.0 * s / files.box;
    std::snprintf(row, sizeof row, "%12d %12.6e %12.6f\n", s, 1e-2 * std::exp(-6 * x), std::exp(-3 * x * x));
    star += row;
  }
  write_text_atomically(files.folder + "/" + stem + ".star", star + "\n");
  return stem + ".star";
}

}  // namespace cryored
