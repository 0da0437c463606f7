#include "training/pairs.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/fourier/filter.hpp"
#include "core/fourier/shells.hpp"
#include "simulation/projector.hpp"

namespace cryored {
namespace {

using Coefficient = std::complex<float>;

constexpr double kDegree = std::numbers::pi / 180;
constexpr double kRotationVolume = 8 * std::numbers::pi * std::numbers::pi;  // of SO(3), in rotation-vector measure
constexpr double kFirstShifts[] = {-2.4, -1.2, 0, 1.2, 2.4};                 // pixels, first E-step, along each axis
constexpr std::size_t kViewBlock = 512;                                      // views
constexpr double kShiftRange = 5;                                            // pixels either way, global search

/// One family of proposals of a particle's pose error.
struct Proposal {
  int count;
  double angle_sigma;  ///< degrees; 0 means uniform over the rotation group
  double shift_sigma;  ///< pixels
};

struct Pose {
  Rotation error;  ///< candidate = true rotation * error
  double dx, dy;
  double log_importance;
};

double density(const Proposal& p, double angle_degrees, double dx, double dy) {
  if (p.angle_sigma == 0) return 1 / (kRotationVolume * 4 * kShiftRange * kShiftRange);
  const double sigma = p.angle_sigma * kDegree, angle = angle_degrees * kDegree, a = angle / sigma;
  // From the measure of rotation vectors to that of the rotation group.
  const double half = std::max(angle / 2, 1e-6), jacobian = std::pow(half / std::sin(half), 2);
  const double r2 = (dx * dx + dy * dy) / (p.shift_sigma * p.shift_sigma);
  return jacobian * std::exp(-0.5 * a * a) / std::pow(2 * std::numbers::pi * sigma * sigma, 1.5) * std::exp(-0.5 * r2) /
         (2 * std::numbers::pi * p.shift_sigma * p.shift_sigma);
}

/// Candidate poses with balance-heuristic importance weights, so that a weighted sum over
/// them estimates the integral over all poses that RELION's E-step takes.
std::vector<Pose> propose(const std::vector<Proposal>& proposals, double handicap, std::mt19937_64& rng) {
  std::vector<Pose> poses;
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> shift(-kShiftRange, kShiftRange);
  for (const auto& p : proposals)
    for (int i = 0; i < p.count; ++i) {
      Pose pose;
      pose.error = p.angle_sigma == 0 ? random_rotation(rng) : perturbation(rng, p.angle_sigma);
      pose.dx = p.angle_sigma == 0 ? shift(rng) : p.shift_sigma * normal(rng);
      pose.dy = p.angle_sigma == 0 ? shift(rng) : p.shift_sigma * normal(rng);
      const double angle = angle_between(pose.error, Rotation{});
      double mixture = 0;
      for (const auto& q : proposals) mixture += q.count * density(q, angle, pose.dx, pose.dy);
      pose.log_importance = -std::log(mixture) - (p.angle_sigma == 0 ? 0 : handicap);
      poses.push_back(pose);
    }
  return poses;
}

struct HalfSet {
  std::vector<Rotation> rotations;
  std::vector<Coefficient> data;  ///< particles x pixels
};

HalfSet simulate(const Projector& truth, const SlicePixels& pixels, int count, double noise_variance,
                 std::mt19937_64& rng) {
  HalfSet set;
  set.data.resize(static_cast<std::size_t>(count) * pixels.size());
  std::normal_distribution<float> normal(0, static_cast<float>(std::sqrt(noise_variance / 2)));
  for (int i = 0; i < count; ++i) {
    set.rotations.push_back(random_rotation(rng));
    Coefficient* slice = set.data.data() + static_cast<std::size_t>(i) * pixels.size();
    truth.slice(pixels, set.rotations.back(), slice);
    for (std::size_t p = 0; p < pixels.size(); ++p) {
      const float re = normal(rng), im = normal(rng);
      slice[p] += Coefficient(re, im);
    }
  }
  return set;
}

/// Where each pixel of `part` stands in `all`: both lists run over ky, then kx.
std::vector<std::size_t> positions(const SlicePixels& part, const SlicePixels& all) {
  std::vector<std::size_t> at;
  for (std::size_t i = 0, j = 0; i < part.size(); ++i, ++j) {
    while (all.kx[j] != part.kx[i] || all.ky[j] != part.ky[i]) ++j;
    at.push_back(j);
  }
  return at;
}

/// 1 / variance of each pixel's shell.
std::vector<float> by_pixel(const SlicePixels& pixels, const std::vector<double>& variance) {
  std::vector<float> out;
  for (std::size_t p = 0; p < pixels.size(); ++p)
    out.push_back(static_cast<float>(
        1 / variance[static_cast<std::size_t>(std::lround(std::hypot(pixels.kx[p], pixels.ky[p])))]));
  return out;
}

struct Reconstruction {
  Map map;
  std::vector<double> errors;
};

/// One E-step against `reference` and the unregularised reconstruction from it.
Reconstruction maximise(const HalfSet& set, const Map& reference, int reference_radius, int cut,
                        const SlicePixels& pixels, const std::vector<double>& variance,
                        const std::vector<Proposal>& proposals, double handicap, std::mt19937_64& rng) {
  const SlicePixels scored = slice_pixels(pixels.box, reference_radius), inserted = slice_pixels(pixels.box, cut);
  const auto scored_at = positions(scored, pixels), inserted_at = positions(inserted, pixels);
  const std::vector<float> inverse_variance = by_pixel(scored, variance);
  const Projector projector(reference, 2, reference_radius);
  Backprojector back(pixels.box, cut);
  std::vector<Coefficient> predicted(scored.size()), observed(scored.size()), moved(inserted.size());
  Reconstruction out;
  for (std::size_t i = 0; i < set.rotations.size(); ++i) {
    const Coefficient* slice = set.data.data() + i * pixels.size();
    for (std::size_t p = 0; p < scored.size(); ++p) observed[p] = slice[scored_at[p]];
    const auto poses = propose(proposals, handicap, rng);
    std::vector<double> log_weight(poses.size());
    for (std::size_t c = 0; c < poses.size(); ++c) {
      projector.slice(scored, set.rotations[i] * poses[c].error, predicted.data());
      move_slice(scored, poses[c].dx, poses[c].dy, predicted.data());
      double misfit = 0;
      for (std::size_t p = 0; p < scored.size(); ++p)
        misfit += inverse_variance[p] * std::norm(observed[p] - predicted[p]);
      log_weight[c] = poses[c].log_importance - misfit;
    }
    const auto best =
        static_cast<std::size_t>(std::max_element(log_weight.begin(), log_weight.end()) - log_weight.begin());
    const double top = log_weight[best];
    double total = 0;
    for (double& w : log_weight) total += (w = std::exp(w - top));
    out.errors.push_back(angle_between(poses[best].error, Rotation{}));
    for (std::size_t c = 0; c < poses.size(); ++c) {
      const double w = log_weight[c] / total;
      if (w < 2e-4) continue;
      for (std::size_t p = 0; p < inserted.size(); ++p) moved[p] = slice[inserted_at[p]];
      move_slice(inserted, -poses[c].dx, -poses[c].dy, moved.data());
      back.insert(inserted, set.rotations[i] * poses[c].error, moved.data(), static_cast<float>(w));
    }
  }
  out.map = back.unregularised();
  return out;
}

/// The E-step of a first iteration: the reference holds little, posteriors are broad, and noise is
/// averaged over thousands of poses, so every particle is scored against one common set of views
/// spread over the whole rotation group, at shifts on a grid, as RELION's first pass does.
Reconstruction maximise_globally(const HalfSet& set, const Map& reference, int reference_radius, int cut,
                                 const SlicePixels& pixels, const std::vector<double>& variance, int views,
                                 std::mt19937_64& rng) {
  const SlicePixels scored = slice_pixels(pixels.box, reference_radius), inserted = slice_pixels(pixels.box, cut);
  const auto inserted_at = positions(inserted, pixels), scored_in = positions(scored, inserted);
  const std::vector<float> inverse_variance = by_pixel(scored, variance);
  const Projector projector(reference, 2, reference_radius);
  const auto count = static_cast<std::size_t>(views);
  std::vector<Rotation> rotations;
  // Predictions, pixel-major, so that the scores of all views are updated by one contiguous loop.
  std::vector<float> real(scored.size() * count), imaginary(real.size()), power(count);
  std::vector<Coefficient> slice(scored.size());
  for (std::size_t v = 0; v < count; ++v) {
    rotations.push_back(random_rotation(rng));
    projector.slice(scored, rotations[v], slice.data());
    for (std::size_t p = 0; p < scored.size(); ++p) {
      real[p * count + v] = slice[p].real();
      imaginary[p * count + v] = slice[p].imag();
      power[v] += inverse_variance[p] * std::norm(slice[p]);
    }
  }
  std::vector<std::pair<double, double>> shifts;
  for (const double x : kFirstShifts)
    for (const double y : kFirstShifts) shifts.emplace_back(x, y);

  std::vector<Coefficient> sums(count * inserted.size());
  std::vector<float> weights(count), scores(count * shifts.size());
  Reconstruction out;
  std::vector<std::vector<Coefficient>> moved(shifts.size(), std::vector<Coefficient>(inserted.size()));
  for (std::size_t i = 0; i < set.rotations.size(); ++i) {
    const Coefficient* data = set.data.data() + i * pixels.size();
    for (std::size_t t = 0; t < shifts.size(); ++t) {
      for (std::size_t p = 0; p < inserted.size(); ++p) moved[t][p] = data[inserted_at[p]];
      move_slice(inserted, shifts[t].first, shifts[t].second, moved[t].data());
    }
    // Blocks of views whose predictions stay in the cache while all shifts use them.
    for (std::size_t first = 0; first < count; first += kViewBlock) {
      const std::size_t last = std::min(count, first + kViewBlock);
      for (std::size_t t = 0; t < shifts.size(); ++t) {
        float* score = scores.data() + t * count;
        for (std::size_t v = first; v < last; ++v) score[v] = -power[v];
        for (std::size_t p = 0; p < scored.size(); ++p) {
          const Coefficient y = 2 * inverse_variance[p] * moved[t][scored_in[p]];
          const float re = y.real(), im = y.imag();
          const float *a = real.data() + p * count, *b = imaginary.data() + p * count;
          for (std::size_t v = first; v < last; ++v) score[v] += re * a[v] + im * b[v];
        }
      }
    }
    const auto best = static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    const float top = scores[best];
    double total = 0;
    for (float& s : scores) total += (s = s - top < -12 ? 0 : std::exp(s - top));
    out.errors.push_back(angle_between(rotations[best % count], set.rotations[i]));
    for (std::size_t t = 0; t < shifts.size(); ++t)
      for (std::size_t v = 0; v < count; ++v) {
        const auto w = static_cast<float>(scores[t * count + v] / total);
        if (w < 1e-5f) continue;
        weights[v] += w;
        Coefficient* sum = sums.data() + v * inserted.size();
        for (std::size_t p = 0; p < inserted.size(); ++p) sum[p] += w * moved[t][p];
      }
  }
  Backprojector back(pixels.box, cut);
  for (std::size_t v = 0; v < count; ++v) {
    if (weights[v] <= 0) continue;
    Coefficient* mean = sums.data() + v * inserted.size();
    for (std::size_t p = 0; p < inserted.size(); ++p) mean[p] /= weights[v];
    back.insert(inserted, rotations[v], mean, weights[v]);
  }
  out.map = back.unregularised();
  return out;
}

double median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + static_cast<long>(v.size() / 2), v.end());
  return v[v.size() / 2];
}

}  // namespace

std::vector<TrainingPair> make_pairs(const Structure& structure, const PairOptions& options, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  std::uniform_real_distribution<double> uniform;
  const auto between = [&](double a, double b) { return a + (b - a) * uniform(rng); };
  const auto log_between = [&](double a, double b) { return a * std::pow(b / a, uniform(rng)); };

  const std::size_t n = options.box;
  const int radius = static_cast<int>(n / 2) - 1;
  DensityOptions density_options;
  density_options.box = n;
  density_options.voxel = options.voxel;
  density_options.b_factor = between(20, 150);
  density_options.rotation = random_rotation(rng);
  const Map truth = density_map(structure, density_options);
  const int particles = static_cast<int>(log_between(options.least_particles, options.most_particles));
  const double area = static_cast<double>(n * n);
  const double snr = log_between(options.least_snr, options.most_snr);
  double signal = 0;  // variance of a projection: sum over its transform but the mean
  std::vector<double> signal_power(static_cast<std::size_t>(radius) + 1), shell_pixels(signal_power.size());
  const SlicePixels pixels = slice_pixels(n, radius);
  const Projector projector(truth, 2, radius);
  {
    std::vector<Coefficient> slice(pixels.size());
    for (int i = 0; i < 8; ++i) {
      projector.slice(pixels, random_rotation(rng), slice.data());
      for (std::size_t p = 0; p < pixels.size(); ++p)
        if (pixels.kx[p] != 0 || pixels.ky[p] != 0) {
          signal += 2 * std::norm(slice[p]) / 8;
          const auto s = static_cast<std::size_t>(std::lround(std::hypot(pixels.kx[p], pixels.ky[p])));
          signal_power[s] += std::norm(slice[p]);
          shell_pixels[s] += 1;
        }
    }
  }
  const double noise_variance = signal / (snr * area);
  // RELION estimates the noise's spectrum from the images themselves: what its reference does not
  // explain counts as noise, at first all of the signal. So its first posteriors are very broad.
  std::vector<double> variance(signal_power.size(), noise_variance);
  for (std::size_t s = 1; s < variance.size(); ++s) variance[s] += signal_power[s] /= shell_pixels[s];

  // Widths from the fine sampling of late iterations to the broad posteriors of the first ones.
  const double angle = log_between(1.5, 4.5);
  const double shift = between(0.3, 1.0);
  // Real refinements also sit in local optima where views near the truth were never sampled;
  // a handicap on those lets wrong views and reference bias win in part of the pairs.
  const double handicap = uniform(rng) < 0.8 ? 0 : between(0, 6);
  // Early posteriors are the broadest: noise there is averaged over many poses.
  const auto proposals = [&](int round) {
    const int m = round < 2 ? 2 : 1;
    return std::vector<Proposal>{{10 * m, angle, shift},
                                 {14 * m, 2.5 * angle, 1.5 * shift},
                                 {24 * m, 5 * angle, 2 * shift},
                                 {32 * m, 9 * angle, 2.5 * shift},
                                 {80 * m, 0, 0}};
  };

  const HalfSet halves[2] = {simulate(projector, pixels, particles, noise_variance, rng),
                             simulate(projector, pixels, particles, noise_variance, rng)};
  // The first reference is the truth at a low resolution, mostly RELION's usual 30 A; later
  // ones are the halves' own regularised maps.
  const double usual = static_cast<double>(n) * options.voxel / 30;
  const double start = uniform(rng) < 0.7 ? between(0.9, 1.4) * usual : between(usual, 0.6 * radius);
  const int start_radius = std::min(radius, static_cast<int>(start) + 2);
  const Map low = filtered(truth, [&](double s) {
    const double u = std::clamp((s - start + 1) / 2, 0.0, 1.0);
    return 0.5 * (1 + std::cos(std::numbers::pi * u));
  });
  Map references[2] = {low, low};
  int reference_radius = start_radius;
  double resolution_shell = start;
  const Map mask = spherical_mask(n, std::min(structure.radius / options.voxel + 3, static_cast<double>(n) / 2 - 1), 5);

  std::vector<TrainingPair> pairs;
  for (int round = 0; round < options.rounds; ++round) {
    // RELION's current size: the last resolution and ten shells more.
    const int cut = std::clamp(static_cast<int>(resolution_shell + between(8, 12)), 8, radius);
    Reconstruction found[2];
    for (int h = 0; h < 2; ++h)
      found[h] = round == 0 && start < 1.5 * usual ? maximise_globally(halves[h], references[h], reference_radius, cut,
                                                                       pixels, variance, options.first_views, rng)
                                                   : maximise(halves[h], references[h], reference_radius, cut, pixels,
                                                              variance, proposals(round), handicap, rng);
    auto curve = fsc(found[0].map, found[1].map);
    // The half-maps as RELION would see them end with shell cut - 1, and so does what they can show: it writes zeros
    // beyond.
    std::fill(curve.begin() + cut, curve.end(), 0.0);
    const double nominal = std::min<double>(crossing_shell(curve, 0.143), cut - 1);
    const auto inside = [&](double s) { return s < cut ? 1.0 : 0.0; };
    for (int h = 0; h < 2; ++h) {
      TrainingPair pair;
      pair.voxel = options.voxel;
      pair.input = filtered(found[h].map, inside);
      pair.target = filtered(truth, inside);
      pair.cut = cut;
      pair.nominal_resolution = shell_resolution(nominal, n, options.voxel);
      pair.median_error = median(found[h].errors);
      pair.snr = snr;
      pair.half_fsc.assign(curve.begin(), curve.end());
      pairs.push_back(std::move(pair));
      references[h] = filtered(found[h].map, [&](double s) {
        const auto shell = static_cast<std::size_t>(std::lround(s));
        return s < cut && shell < curve.size() ? std::clamp(curve[shell], 0.0, 1.0) : 0.0;
      });
      for (std::size_t i = 0; i < mask.size(); ++i) references[h].data[i] *= mask.data[i];
    }
    for (std::size_t s = 1; s < variance.size(); ++s)
      variance[s] = noise_variance + signal_power[s] * (1 - std::clamp(curve[s], 0.0, 1.0));
    resolution_shell = nominal;
    reference_radius = std::max(4, std::min(cut, static_cast<int>(nominal) + 2));
  }
  return pairs;
}

}  // namespace cryored
