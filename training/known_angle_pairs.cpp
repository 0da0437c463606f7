#include "training/known_angle_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/red.hpp"
#include "evaluation/raw_maps.hpp"
#include "simulation/orientation.hpp"
#include "simulation/particles.hpp"
#include "training/relion_pairs.hpp"

namespace cryored {
namespace {

/// Orientations turned by rotation vectors of `angle` degrees and origins moved by `shift` A, SD per component.
void disturb(StarTable& particles, double angle, double shift, std::mt19937_64& rng) {
  std::normal_distribution<double> normal;
  for (std::size_t row = 0; row < particles.rows(); ++row) {
    const EulerAngles angles =
        euler_from(perturbation(rng, angle) *
                   rotation_from({particles.number(row, "rlnAngleRot"), particles.number(row, "rlnAngleTilt"),
                                  particles.number(row, "rlnAnglePsi")}));
    const auto set = [&](const char* label, double value) { particles.set(row, label, std::to_string(value)); };
    set("rlnAngleRot", angles.rot);
    set("rlnAngleTilt", angles.tilt);
    set("rlnAnglePsi", angles.psi);
    for (const char* label : {"rlnOriginXAngst", "rlnOriginYAngst"})
      set(label, particles.number(row, label) + shift * normal(rng));
  }
}

}  // namespace

std::vector<TrainingPair> known_angle_pairs(const Structure& structure, const KnownAngleOptions& options,
                                            std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  const auto between = [&](double a, double b) { return std::uniform_real_distribution<double>(a, b)(rng); };
  const auto log_between = [&](double a, double b) { return std::exp(between(std::log(a), std::log(b))); };
  const PairOptions& o = options.pair;
  std::vector<TrainingPair> pairs;
  for (int round = 0; round < o.rounds; ++round) {
    ParticleOptions particles;
    particles.box = o.box;
    particles.pixel_size = o.voxel;
    particles.count = 2 * static_cast<int>(log_between(o.least_particles, o.most_particles));
    particles.snr = log_between(o.least_snr, o.most_snr);
    particles.seed = rng();
    const double angle = log_between(options.least_angle, options.most_angle),
                 shift = o.voxel * log_between(options.least_shift, options.most_shift);
    const TemporaryFolder folder;
    const ParticleFiles files = simulate_particles(structure, particles, folder.path().string());
    StarFile star = read_star(files.truth_star);
    disturb(star.require("particles"), angle, shift, rng);
    const std::string disturbed = (folder.path() / "disturbed.star").string();
    write_star(disturbed, star);
    Map halves[2];
    for (const int half : {1, 2})
      halves[half - 1] = reconstruct_with_angles(
          disturbed, (folder.path() / ("half" + std::to_string(half) + ".mrc")).string(), false, half);
    const Map truth = read_mrc(files.truth);
    auto curve = fsc(halves[0], halves[1]);
    const double crossing = crossing_shell(curve, 0.143);
    const int cut = std::clamp(static_cast<int>(crossing + between(8, 12)), 8, static_cast<int>(o.box / 2));
    std::fill(curve.begin() + cut, curve.end(), 0.0);  // as RELION writes it
    ReconstructRequest corners;
    corners.box = static_cast<int>(o.box);
    corners.padding = kAnglesPadding;
    for (const Map& half : halves) {
      TrainingPair pair = pair_of(as_seen(corners, half), truth, cut, o.voxel, structure.path + ", known angles");
      pair.nominal_resolution = shell_resolution(std::min<double>(crossing, cut - 1), o.box, o.voxel);
      pair.median_error = angle * 1.538;  // of the length of a vector of three normal components
      pair.snr = particles.snr;
      pair.half_fsc.assign(curve.begin(), curve.end());
      pairs.push_back(std::move(pair));
    }
  }
  return pairs;
}

}  // namespace cryored
