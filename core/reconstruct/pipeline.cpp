// From B and K to V = B n; finish.cpp takes V to the map.

#include "core/reconstruct/pipeline.hpp"

#include <algorithm>
#include <cmath>

#include "core/fourier/fft.hpp"
#include "core/reconstruct/gpu.hpp"
#include "core/reconstruct/gridding.hpp"

namespace cryored {
namespace {

/// Reads `count` neighbouring columns of a file in FFT order; column i begins at values + i * stride.
/// Neighbours are read together, plane by plane, so that each cache line and page is touched once.
template <typename Value, typename Number>
void read_columns(const ReconstructRequest& request, const HalfBall::Column* columns, int count, const Value& value,
                  Number* values, long stride) {
  const long p = request.padded_box(), nx = p / 2 + 1, plane = request.dimensionality == 2 ? nx : p * nx;
  int reach = 0;
  for (int i = 0; i < count; ++i) reach = std::max(reach, columns[i].reach);
  for (int kz = -reach; kz <= reach; ++kz)
    for (int i = 0; i < count; ++i) {
      const auto& c = columns[i];
      if (kz < -c.reach || kz > c.reach) continue;
      const long index = (kz < 0 ? kz + p : kz) * plane + (c.ky < 0 ? c.ky + p : c.ky) * nx + c.kx;
      values[i * stride + c.reach + kz] = value(static_cast<std::size_t>(index));
    }
}

/// W = K + 1 / (p^3 T tau2), or K's own rule where tau2 is 0.
ColumnWeights full_weights(const ReconstructRequest& request, const RequestArrays& arrays, Prior prior) {
  const float* k = arrays.weight.float_data();
  return [&request, k, prior, inverse = inverse_tau2(request)](const HalfBall::Column* columns, int count,
                                                               double* values, long stride) {
    read_columns(
        request, columns, count, [k](std::size_t i) { return static_cast<double>(k[i]); }, values, stride);
    if (prior == Prior::none) return;
    std::vector<int> shells(static_cast<std::size_t>(stride));
    for (int i = 0; i < count; ++i) {
      column_shells(request, columns[i], shells.data());
      double* w = values + i * stride;
      for (int j = 0; j <= 2 * columns[i].reach; ++j) {
        const double added = inverse[static_cast<std::size_t>(shells[static_cast<std::size_t>(j)])];
        if (added > 0)
          w[j] += added;
        else if (w[j] > 1e-20)
          w[j] += 1000 / w[j];
      }
    }
  };
}

/// Calls f(first column, count) for blocks of neighbouring columns, in parallel.
template <typename F>
void for_each_block(const HalfBall& ball, F f) {
  constexpr long block = 32;
  const long count = static_cast<long>(ball.columns.size());
#pragma omp parallel for schedule(dynamic, 4) num_threads(workers(ball))
  for (long first = 0; first < count; first += block)
    f(ball.columns.data() + first, static_cast<int>(std::min(block, count - first)));
}

/// 1 / max(W, a thousandth of the mean W of its annulus); 0 where an annulus has no weight at all.
/// RELION's annuli here are floor(|k| / p), not the rounded shells of tau2.
BallWeights floored_inverse(const ReconstructRequest& request, const HalfBall& ball, const ColumnWeights& weights) {
  const std::size_t annuli = static_cast<std::size_t>(request.box / 2) + 1;
  const long length = 2L * ball.radius + 1;
  std::vector<double> sum(annuli), count(annuli), values(static_cast<std::size_t>(length));
  const auto annulus = [&](const HalfBall::Column& column, int i) {
    const long kx = column.kx, ky = column.ky, kz = i - column.reach;
    const double radius = std::sqrt(static_cast<double>(kx * kx + ky * ky + kz * kz)) / request.padding;
    return std::min(static_cast<std::size_t>(radius), annuli - 1);
  };
  BallWeights result(ball.size);
  for (const auto& column : ball.columns) {
    weights(&column, 1, values.data(), length);
    for (int i = 0; i <= 2 * column.reach; ++i) {
      const auto at = static_cast<std::size_t>(i);
      sum[annulus(column, i)] += values[at];
      count[annulus(column, i)] += 1;
      result[column.offset + at] = static_cast<float>(values[at]);
    }
  }
  for (const auto& column : ball.columns)
    for (int i = 0; i <= 2 * column.reach; ++i) {
      float& value = result[column.offset + static_cast<std::size_t>(i)];
      const std::size_t here = annulus(column, i);
      const double floored = std::max(static_cast<double>(value), sum[here] / count[here] / 1000);
      value = floored > 0 ? static_cast<float>(1 / floored) : 0.0f;
    }
  return result;
}

}  // namespace

FourierWeights fourier_weights(const ReconstructRequest& request, const RequestArrays& arrays, Prior prior,
                               const ReconstructOptions& options) {
  FourierWeights result{HalfBall(cut_radius(request), request.dimensionality), {}};
  const ColumnWeights weights = full_weights(request, arrays, prior);
  if (options.skip_gridding)
    result.n = floored_inverse(request, result.ball, weights);
  else if (options.gpu)
    result.n = gpu::gridding_weights(*options.gpu, result.ball, weights, request.padding * request.box,
                                     options.gridding_rounds);
  else
    result.n = gridding_weights(result.ball, weights, request.padding * request.box, options.gridding_rounds);
  return result;
}

BallSpectrum weighted_data(const ReconstructRequest& request, const RequestArrays& arrays,
                           const FourierWeights& weights) {
  const float* real = arrays.real.float_data();
  const float* imag = arrays.imag.float_data();
  BallSpectrum spectrum(weights.ball.size);
  const long length = 2L * weights.ball.radius + 1;
  for_each_block(weights.ball, [&](const HalfBall::Column* columns, int count) {
    std::vector<std::complex<float>> values(static_cast<std::size_t>(count * length));
    read_columns(
        request, columns, count, [=](std::size_t i) { return std::complex<float>(real[i], imag[i]); }, values.data(),
        length);
    for (int c = 0; c < count; ++c)
      for (std::size_t i = 0; i <= 2 * static_cast<std::size_t>(columns[c].reach); ++i) {
        const std::size_t at = columns[c].offset + i;
        spectrum[at] = values[static_cast<std::size_t>(c * length) + i] * weights.n[at];
      }
  });
  return spectrum;
}

}  // namespace cryored
