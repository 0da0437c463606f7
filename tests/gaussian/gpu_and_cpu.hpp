#pragma once
// What core/cuda computes against the CPU's, to 1e-5 of the RMS, with the library that CRYORED_CUDA_LIBRARY names.

#include <gtest/gtest.h>

#include <cmath>

#include "core/reconstruct/gpu.hpp"

namespace cryored {

inline ReconstructRequest request_of(int box, double padding, int current, int dimensions) {
  ReconstructRequest request;
  request.box = box;
  request.padding = padding;
  request.current_size = current;
  request.dimensionality = dimensions;
  return request;
}

inline double relative_rms(const float* a, const float* b, std::size_t count) {
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < count; ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    power += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / power);
}

inline void expect_gpu_equals_cpu() {
  for (const auto& [box, padding, current, dimensions] : {std::tuple{32, 1.0, 32, 3},
                                                          {32, 2.0, 32, 3},
                                                          {32, 2.0, 20, 3},
                                                          {48, 1.3, 40, 3},
                                                          {64, 2.0, 64, 3},
                                                          {64, 1.0, 64, 2},
                                                          {64, 2.0, 40, 2}}) {
    SCOPED_TRACE("box " + std::to_string(box) + ", current " + std::to_string(current));
    const ReconstructRequest request = request_of(box, padding, current, dimensions);
    const HalfBall ball(cut_radius(request), dimensions);
    // Symmetric under k -> -k, spanning a wide range.
    const auto weights = [](const HalfBall::Column* columns, int count, double* out, long stride) {
      for (int i = 0; i < count; ++i)
        for (int j = 0; j <= 2 * columns[i].reach; ++j) {
          const double kx = columns[i].kx, ky = columns[i].ky, kz = j - columns[i].reach;
          out[i * stride + j] = std::exp(3 * std::cos(kx * kx + 2 * ky * ky + 3 * kz * kz + ky * kz));
        }
    };
    const BallWeights cpu = gridding_weights(ball, weights, padding * box, 10);
    const BallWeights gpu_n = gpu::gridding_weights(0, ball, weights, padding * box, 10);
    EXPECT_LT(relative_rms(gpu_n.data(), cpu.data(), cpu.size()), 1e-5);

    BallSpectrum v(ball.size);
    for (const auto& column : ball.columns)
      for (int kz = -column.reach; kz <= column.reach; ++kz)
        v[column.offset + static_cast<std::size_t>(column.reach + kz)] =
            std::polar(std::exp(-0.05f * static_cast<float>(std::hypot(column.kx, column.ky, kz))),
                       0.9f * static_cast<float>(column.kx) - 0.4f * static_cast<float>(column.ky) +
                           0.2f * static_cast<float>(kz));
    ReconstructOptions on_gpu;
    on_gpu.gpu = 0;
    const Map a = finish(request, ball, v, on_gpu), b = finish(request, ball, v);
    EXPECT_LT(relative_rms(a.data.data(), b.data.data(), b.size()), 1e-5);
  }
}

}  // namespace cryored
