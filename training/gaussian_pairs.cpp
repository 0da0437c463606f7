#include "training/gaussian_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/fourier/fft.hpp"
#include "core/fourier/filter.hpp"
#include "core/fourier/shells.hpp"
#include "simulation/noise.hpp"

namespace cryored {
namespace {

constexpr double kThreshold = 0.143;
/// What the paper's mask leaves of the noise in the solvent is not stated there; half of it here.
constexpr double kSolvent = 0.5;

/// Where the molecule is: the target's local power above a tenth of its largest.
Map molecule_mask(const Map& map) {
  Map power = map;
  for (float& v : power.data) v *= v;
  const double reach = static_cast<double>(map.nx) / 24;
  Map mask = filtered(power, [reach](double s) { return std::exp(-s * s / (2 * reach * reach)); });
  const float limit = 0.1f * *std::max_element(mask.data.begin(), mask.data.end());
  for (float& v : mask.data) v = std::clamp(v / limit, 0.f, 1.f);
  return mask;
}

}  // namespace

Map shaped_noise(const std::vector<double>& power, const Map& mask, double solvent, std::uint64_t seed) {
  Map noise(mask.nx, mask.ny, mask.nz);
  noise.fill(0);
  std::mt19937_64 rng = image_generator(seed, 0);
  add_white_noise(rng, noise.data.data(), noise.size());
  const auto count = static_cast<double>(noise.size());  // the mean power is 1 / N^3
  const auto amplitude = [&](float m) { return solvent + (1 - solvent) * m; };
  double left = 0;  // share of the power
  for (const float m : mask.data) left += std::pow(amplitude(m), 2) / count;
  noise = filtered(noise, [&](double s) {
    const auto shell = static_cast<std::size_t>(std::lround(s));
    return shell < power.size() ? std::sqrt(power[shell] * count / left) : 0.0;
  });
  for (std::size_t i = 0; i < noise.size(); ++i) noise.data[i] *= static_cast<float>(amplitude(mask.data[i]));
  return noise;
}

std::vector<TrainingPair> gaussian_pairs(const Structure& structure, const PairOptions& options, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::uniform_real_distribution<double> uniform;
  DensityOptions density;
  density.box = options.box;
  density.voxel = options.voxel;
  density.b_factor = 20 + 130 * uniform(rng);
  density.rotation = random_rotation(rng);
  const Map truth = density_map(structure, density), mask = molecule_mask(truth);
  const std::vector<double> signal = shell_power(forward(truth));
  const int radius = static_cast<int>(options.box / 2) - 1;
  const double coarsest = static_cast<double>(options.box) * options.voxel / 20;
  std::vector<TrainingPair> pairs;
  for (int i = 0; i < 2 * options.rounds; ++i) {
    const auto last = static_cast<std::size_t>(coarsest + (radius - coarsest) * uniform(rng));
    double near = 0;
    for (std::size_t s = last - 1; s <= last + 1; ++s) near += signal[s] / 3;
    const double slope = near * (1 / kThreshold - 1) / static_cast<double>(last);
    std::vector<double> noise(signal.size());
    TrainingPair pair;
    for (std::size_t s = 0; s < noise.size(); ++s) {
      noise[s] = slope * static_cast<double>(s);
      pair.half_fsc.push_back(signal[s] > 0 ? static_cast<float>(signal[s] / (signal[s] + noise[s])) : 0.f);
    }
    pair.voxel = options.voxel;
    pair.cut = std::clamp(static_cast<int>(static_cast<double>(last) + 8 + 4 * uniform(rng)), 8, radius);
    pair.target = low_pass(truth, pair.cut);
    Map input = truth;
    add(input, shaped_noise(noise, mask, kSolvent, rng()));
    pair.input = low_pass(input, pair.cut);
    const std::vector<double> curve(pair.half_fsc.begin(), pair.half_fsc.end());
    pair.nominal_resolution = shell_resolution(crossing_shell(curve, kThreshold), options.box, options.voxel);
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

TrainingPair gaussian_twin(const TrainingPair& pair, std::uint64_t seed) {
  TrainingPair twin = pair;
  Map errors = pair.input;
  subtract(errors, pair.target);
  const Map mask = molecule_mask(pair.target);
  twin.input = pair.target;
  add(twin.input, shaped_noise(shell_power(forward(errors)), mask, kSolvent, seed));
  twin.input = low_pass(twin.input, pair.cut);
  return twin;
}

}  // namespace cryored
