#pragma once
// Synthetic requests: B and K as RELION would write them, with a known structure and noise.

#include <cmath>
#include <complex>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

#include "core/formats/mrc.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/denoiser.hpp"
#include "core/reconstruct/pipeline.hpp"
#include "tests/red/maps.hpp"
#include "tests/red/relion.hpp"

namespace cryored {

struct Synthetic {
  int box = 32, padding = 1, current_size = 28;
  double fudge = 1, weight = 3;  ///< mean of K
  double tau2 = 0.1;             ///< of shell 1; falls with the shell
  bool fsc_zero = false;
  std::string stem = "run_it003_half1_class001";
  unsigned seed = 1;
};

/// The text of RELION's STAR file.
inline std::string star_text(const std::string& stem, const Synthetic& s, const std::vector<double>& tau2,
                             const std::string& result) {
  std::ostringstream out;
  out.precision(9);
  const std::string base = stem + "_external_reconstruct";
  out << "\n# version 30001\n\ndata_external_reconstruct_general\n\n"
      << "_rlnExtReconsDataReal " << base << "_data_real.mrc\n_rlnExtReconsDataImag " << base << "_data_imag.mrc\n"
      << "_rlnExtReconsWeight " << base << "_weight.mrc\n_rlnExtReconsResult " << result << "\n"
      << "_rlnExtReconsResultStarfile " << base << "_out.star\n_rlnTau2FudgeFactor " << s.fudge
      << "\n_rlnPaddingFactor " << s.padding << "\n_rlnReferenceDimensionality 3\n_rlnOriginalImageSize " << s.box
      << "\n_rlnCurrentImageSize " << s.current_size
      << "\n\n\n# version 30001\n\ndata_external_reconstruct_tau2\n\nloop_\n"
      << "_rlnSpectralIndex #1\n_rlnReferenceTau2 #2\n_rlnGoldStandardFsc #3\n";
  for (int i = 0; i <= s.box / 2; ++i) {
    const bool inside = i <= s.current_size / 2;
    out << i << ' ' << tau2[static_cast<std::size_t>(i)] << ' '
        << (inside && !s.fsc_zero ? 1 - 0.95 * i / (s.current_size / 2.0) : 0.0) << '\n';
  }
  out << '\n';
  return out.str();
}

/// tau2 that falls with the shell; 0 beyond the current size, as RELION writes it.
inline std::vector<double> falling_tau2(const Synthetic& s) {
  std::vector<double> tau2(static_cast<std::size_t>(s.box / 2 + 1), 0.0);
  for (int i = 0; i <= s.current_size / 2; ++i) tau2[static_cast<std::size_t>(i)] = s.tau2 / (1 + 0.3 * i * i);
  return tau2;
}

inline void write_floats(const std::string& path, const HalfTransform& half, int part) {
  Map values(half.nx, half.ny, half.nz);
  for (std::size_t i = 0; i < half.size(); ++i) values.data[i] = part == 0 ? half.data[i].real() : half.data[i].imag();
  write_mrc(path, values, 1);
}

/// Writes B, K and the STAR file into `folder`; returns the path of the STAR. K is a power spectrum of
/// noise, hence Hermitian, positive, and tiny here and there, times a slope; B = K X + noise.
inline std::string write_synthetic(const TemporaryFolder& folder, const Synthetic& s) {
  const auto p = static_cast<std::size_t>(s.box * s.padding);
  std::mt19937 engine(s.seed);
  std::normal_distribution<float> normal;
  Map noise(p, p, p), noise_k(p, p, p);
  for (float& v : noise.data) v = normal(engine);
  for (float& v : noise_k.data) v = normal(engine);
  const HalfTransform n = forward(noise), w = forward(noise_k);
  const Map structure = blobs(static_cast<std::size_t>(s.box), 1.2, s.seed);
  HalfTransform x = forward(window(structure, p));
  centre(x);  // the origin to voxel 0
  HalfTransform b = x, k = x;
  const double volume = static_cast<double>(p * p * p);
  for (std::size_t z = 0; z < p; ++z)
    for (std::size_t y = 0; y < p; ++y)
      for (std::size_t i = 0; i < x.nx; ++i) {
        const double fy = static_cast<double>(signed_frequency(y, p)), fz = static_cast<double>(signed_frequency(z, p));
        const double r = std::sqrt(static_cast<double>(i * i) + fy * fy + fz * fz) / s.padding;
        const double weight = s.weight * volume * std::norm(std::complex<double>(w(i, y, z))) * 4 / (1 + r);
        const std::complex<double> signal = std::complex<double>(x(i, y, z)) * 200.0;
        const std::complex<double> error = std::complex<double>(n(i, y, z)) * std::sqrt(volume * weight) * 0.3;
        k(i, y, z) = static_cast<float>(weight);
        b(i, y, z) = std::complex<float>(weight * signal + error);
      }
  const std::string stem = folder / s.stem;
  write_floats(stem + "_external_reconstruct_data_real.mrc", b, 0);
  write_floats(stem + "_external_reconstruct_data_imag.mrc", b, 1);
  write_floats(stem + "_external_reconstruct_weight.mrc", k, 0);
  const std::string star = stem + "_external_reconstruct.star";
  std::ofstream(star) << star_text(stem, s, falling_tau2(s), stem + "_external_reconstruct.mrc");
  return star;
}

/// A denoiser made of a function.
template <typename F>
class FunctionDenoiser : public Denoiser {
 public:
  FunctionDenoiser(double voxel, F function) : voxel_(voxel), function_(function) {}
  double voxel_size() const override { return voxel_; }
  Map denoise(const Map& map) override {
    ++calls;
    return function_(map);
  }
  std::string description() const override { return "test function"; }
  int calls = 0;

 private:
  double voxel_;
  F function_;
};

inline Map scaled(Map map, float factor) {
  for (float& v : map.data) v *= factor;
  return map;
}

struct ShellComparison {
  std::vector<double> fsc, amplitude;  ///< of a against b
};
inline ShellComparison compare_shells(const Map& a, const Map& b) {
  const HalfTransform fa = forward(a), fb = forward(b);
  ShellComparison result{fsc(fa, fb), shell_power(fa)};
  const auto power = shell_power(fb);
  for (std::size_t i = 0; i < power.size(); ++i) result.amplitude[i] = std::sqrt(result.amplitude[i] / power[i]);
  return result;
}

}  // namespace cryored
