#pragma once
// Training pairs that carry what RELION's intermediate half-maps carry. For one
// structure a few rounds of expectation-maximisation are run on simulated particles
// with two independent halves: every particle's posterior over orientations and shifts
// is sampled (importance sampling: near its true pose at three widths, and over the
// whole rotation group), the weighted slices are inserted into B and K, and
// input = B/K is cut at RELION's current size. The input so carries noise of RELION's
// spectrum in K, smearing from broad posteriors, misassigned views, and noise that
// was aligned to the reference. Target: the sharp truth cut at the same shell.

#include <cstdint>
#include <string>
#include <vector>

#include "core/fourier/grid.hpp"
#include "simulation/density.hpp"

namespace cryored {

struct PairOptions {
  std::size_t box = 48;                              ///< voxels
  double voxel = 2.5;                                ///< A
  int rounds = 3;                                    ///< expectation-maximisation rounds; each gives one pair per half
  int first_views = 9000;                            ///< views of the first E-step over the whole rotation group
  int least_particles = 200, most_particles = 1200;  ///< per half, drawn log-uniformly
  double least_snr = 0.04, most_snr = 1.5;           ///< per-pixel variance of signal over noise, whole image
};

struct TrainingPair {
  Map input, target;              ///< box^3, same grey scale
  double voxel = 0;               ///< A; 0 in shards of before 0.2, which do not state it
  int cut = 0;                    ///< shell of the hard cut, coefficients at or beyond it are zero
  double nominal_resolution = 0;  ///< A, half-map FSC 0.143, at best that of shell cut - 1
  double median_error = 0;        ///< degrees, most likely candidate against the truth
  double snr = 0;                 ///< per-pixel variance of signal over noise
  std::vector<float> half_fsc;    ///< shells 0 .. box/2, as RELION would write it: 0 from the cut on
};

/// Pairs of one structure for one seed: 2 * rounds of them (deterministic).
std::vector<TrainingPair> make_pairs(const Structure& structure, const PairOptions& options, std::uint64_t seed);

/// Writes a shard of pairs of one box and voxel size atomically: float16 maps with their numbers. Layout in
/// pairs_file.cpp. Throws UsageError when boxes or voxel sizes differ, or a voxel size is missing.
void write_pairs(const std::string& path, const std::vector<TrainingPair>& pairs, const std::string& structure_id);

/// Reader of a shard. Throws InputError for a file that is not one, or was cut short.
class PairShard {
 public:
  explicit PairShard(const std::string& path);
  std::size_t size() const { return count_; }
  std::size_t box() const { return box_; }
  double voxel() const { return voxel_; }  ///< A; 0 when the shard does not state it
  const std::string& path() const { return path_; }
  TrainingPair read(std::size_t i) const;

 private:
  std::string path_;
  std::size_t count_ = 0, head_bytes_ = 0, record_bytes_ = 0, box_ = 0;
  double voxel_ = 0;
};

}  // namespace cryored
