#include "core/reconstruct/red.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/reconstruct/confidence_table.hpp"

namespace cryored {
namespace {

class Stopwatch {
 public:
  /// Seconds since the last call.
  double lap() {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

enum class Corners { flatten, restore };

/// Beyond r = N/2 finish() leaves one constant over sinc^2, a ramp towards the corners that no structure has.
/// Flattening multiplies by sinc^2 there (softly between N/2 and N/2 + 3); restoring divides again.
void scale_corners(const ReconstructRequest& request, Map& map, Corners way) {
  const double radius = request.box / 2.0, extent = request.padding * request.box;
  const long n = static_cast<long>(map.nx);
#pragma omp parallel for schedule(static) num_threads(threads())
  for (long z = 0; z < n; ++z)
    for (long y = 0; y < n; ++y)
      for (long x = 0; x < n; ++x) {
        const long dx = x - n / 2, dy = y - n / 2, dz = z - n / 2;
        const double r = std::sqrt(static_cast<double>(dx * dx + dy * dy + dz * dz));
        if (r <= radius) continue;
        const double share = std::min(1.0, (r - radius) / 3);
        const double factor = 1 - share * (1 - sinc_squared(r, extent));
        float& value = map.data[static_cast<std::size_t>((z * n + y) * n + x)];
        value = static_cast<float>(way == Corners::flatten ? static_cast<double>(value) * factor
                                                           : static_cast<double>(value) / factor);
      }
}

void check_denoised(const Map& denoised, const Map& input, const Denoiser& denoiser) {
  if (denoised.nx != input.nx || denoised.ny != input.ny || denoised.nz != input.nz)
    throw SystemError(
        Problem{denoiser.description(), "output box",
                std::to_string(denoised.nx) + " x " + std::to_string(denoised.ny) + " x " + std::to_string(denoised.nz),
                "the box of its input, " + std::to_string(input.nx), "use other weights (--weights)"});
  for (std::size_t i = 0; i < denoised.size(); ++i)
    if (!std::isfinite(denoised.data[i]))
      throw SystemError(Problem{denoiser.description(), "output",
                                "a value that is not finite at voxel " + std::to_string(i), "finite values",
                                "try --precision float32, or other weights (--weights)"});
}

}  // namespace

Map unregularised_map(const ReconstructRequest& request, const RequestArrays& arrays, const FourierWeights& none,
                      const ReconstructOptions& options) {
  return finish(request, none.ball, weighted_data(request, arrays, none), options);
}

Map unregularised_map(const ReconstructRequest& request, const RequestArrays& arrays) {
  return unregularised_map(request, arrays, fourier_weights(request, arrays, Prior::none));
}

FourierWeights weights_with_prior(const ReconstructRequest& request, const RequestArrays& arrays,
                                  const std::vector<double>& lambda, double prior_weight,
                                  const ReconstructOptions& options) {
  ReconstructRequest weighed = request;
  for (std::size_t s = 0; s < weighed.tau2.size() && s < lambda.size(); ++s)
    weighed.tau2[s] /= weighed_prior(lambda[s], prior_weight);
  return fourier_weights(weighed, arrays, Prior::tau2, options);
}

Map as_seen(const ReconstructRequest& request, Map map) {
  scale_corners(request, map, Corners::flatten);
  return map;
}

Map as_reconstructed(const ReconstructRequest& request, Map map) {
  scale_corners(request, map, Corners::restore);
  return map;
}

DenoiserPass denoise(const ReconstructRequest& request, const Map& unregularised, double pixel_size, Denoiser& denoiser,
                     const Symmetry& symmetry) {
  DenoiserPass pass;
  const double voxel = denoiser.voxel_size();
  if (voxel > 0)
    pass.boxes = resample_boxes(unregularised.nx, pixel_size, voxel);
  else
    pass.boxes = {unregularised.nx, unregularised.nx, pixel_size};
  Map input = as_seen(request, unregularised);
  input = window(input, pass.boxes.padded, edge_mean(input));
  input = fourier_resize(input, pass.boxes.resampled);
  Stopwatch watch;
  Map change = denoiser.denoise(input);
  pass.seconds_denoiser = watch.lap();
  check_denoised(change, input, denoiser);
  subtract(change, input);
  // B/K has the symmetry already, so f's average over the group is B/K plus that of the change.
  change = symmetrise(change, symmetry, pass.boxes.voxel_size);
  pass.seconds_symmetry = watch.lap();
  pass.denoised = window(fourier_resize(change, pass.boxes.padded), unregularised.nx);
  scale_corners(request, pass.denoised, Corners::restore);
  add(pass.denoised, unregularised);
  return pass;
}

std::vector<double> denoiser_gain(const ReconstructRequest& request, const HalfBall& ball, const BallSpectrum& before,
                                  const BallSpectrum& after) {
  const std::size_t count = static_cast<std::size_t>(request.box) / 2 + 1;
  std::vector<double> cross(count), power(count);
  std::vector<int> shells(static_cast<std::size_t>(2 * ball.radius + 1));
  for (const auto& column : ball.columns) {
    column_shells(request, column, shells.data());
    for (std::size_t j = 0; j <= 2 * static_cast<std::size_t>(column.reach); ++j) {
      const auto s = static_cast<std::size_t>(shells[j]);
      const std::complex<double> m = before[column.offset + j], f = after[column.offset + j];
      cross[s] += m.real() * f.real() + m.imag() * f.imag();
      power[s] += std::norm(m);
    }
  }
  for (std::size_t s = 0; s < count; ++s) cross[s] = power[s] > 0 ? std::clamp(cross[s] / power[s], 0.0, 1.0) : 0.0;
  return cross;
}

BallSpectrum red_spectrum(const ReconstructRequest& request, const RequestArrays& arrays, RedWeights&& weights,
                          const Map& unregularised, const Map& denoised, const std::vector<double>& lambda) {
  const HalfBall& ball = weights.tau2.ball;
  BallSpectrum prior = spectrum_of(request, ball, denoised);
  {
    const BallSpectrum before = spectrum_of(request, ball, unregularised);
    const std::vector<double> gain = denoiser_gain(request, ball, before, prior);
    BallWeights& with = weights.tau2.n;
    const BallWeights& without = weights.none.n;
#pragma omp parallel num_threads(threads())
    {
      std::vector<int> shells(static_cast<std::size_t>(2 * ball.radius + 1));
#pragma omp for schedule(static)
      for (std::size_t c = 0; c < ball.columns.size(); ++c) {
        const auto& column = ball.columns[c];
        column_shells(request, column, shells.data());
        for (std::size_t j = 0; j <= 2 * static_cast<std::size_t>(column.reach); ++j) {
          const std::size_t i = column.offset + j, s = static_cast<std::size_t>(shells[j]);
          const auto l = static_cast<float>(lambda[s]), alpha = static_cast<float>(gain[s]);
          // The prior's share tau^-2 / W. Gridding smooths n, so that the ratio can leave 0 .. 1 a little.
          const float share = without[i] > 0 ? std::clamp(1 - with[i] / without[i], 0.0f, 1.0f) : 0.0f;
          prior[i] = l * share * (prior[i] - alpha * before[i]);
          with[i] += l * alpha * (without[i] - with[i]);
        }
      }
    }
  }
  weights.none = FourierWeights{};
  const BallSpectrum data = weighted_data(request, arrays, weights.tau2);
#pragma omp parallel for simd schedule(static) num_threads(threads())
  for (std::size_t i = 0; i < prior.size(); ++i) prior[i] += data[i];
  return prior;
}

}  // namespace cryored
