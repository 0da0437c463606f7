#include "models/blocks.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/error.hpp"

namespace cryored {
namespace {

/// The part of a block that lies on the map, on one axis: [first, last) in block voxels.
struct Range {
  std::size_t first, last;
};

Range inside(long start, std::size_t block, std::size_t length) {
  const long b = static_cast<long>(block), n = static_cast<long>(length);
  const long first = std::clamp(-start, 0L, b), last = std::clamp(n - start, first, b);
  return {static_cast<std::size_t>(first), static_cast<std::size_t>(last)};
}

/// Where the voxels of a block lie on one axis of the map, which goes on periodically.
std::vector<std::size_t> wrapped(long start, std::size_t block, std::size_t length) {
  const long n = static_cast<long>(length);
  std::vector<std::size_t> at;
  at.reserve(block);
  for (std::size_t i = 0; i < block; ++i) {
    const long k = (start + static_cast<long>(i)) % n;
    at.push_back(static_cast<std::size_t>(k < 0 ? k + n : k));
  }
  return at;
}

}  // namespace

AxisPlan plan_axis(std::size_t length, std::size_t block, std::size_t overlap) {
  if (block == 0 || overlap >= block)
    throw UsageError(Problem{"blocks", "overlap", std::to_string(overlap) + " of " + std::to_string(block) + " voxels",
                             "less than the block", "choose a smaller overlap or a larger block"});
  AxisPlan plan;
  plan.length = length;
  plan.block = block;
  if (length <= block) {
    plan.starts = {-static_cast<long>((block - length) / 2)};
  } else {
    const std::size_t stride = block - overlap, count = (length - block + stride - 1) / stride + 1;
    for (std::size_t i = 0; i < count; ++i)
      plan.starts.push_back(static_cast<long>(i * (length - block) / (count - 1)));
  }
  const std::size_t count = plan.starts.size();
  std::vector<std::vector<double>> raw(count, std::vector<double>(block, 0.0));
  std::vector<double> sum(length, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    const long start = plan.starts[i], b = static_cast<long>(block);
    // The ramps are as wide as the overlap with the neighbour on that side; none at the map's ends.
    const long left = i == 0 ? 0 : plan.starts[i - 1] + b - start;
    const long right = i + 1 == count ? 0 : start + b - plan.starts[i + 1];
    const auto [first, last] = inside(start, block, length);
    for (std::size_t k = first; k < last; ++k) {
      const double from_left = static_cast<double>(k) + 0.5, from_right = static_cast<double>(block - k) - 0.5;
      double w = 1;
      for (const auto& [distance, ramp] : {std::pair{from_left, left}, std::pair{from_right, right}})
        if (distance < static_cast<double>(ramp)) {
          const double s = std::sin(std::numbers::pi / 2 * distance / static_cast<double>(ramp));
          w *= s * s;
        }
      raw[i][k] = w;
      sum[static_cast<std::size_t>(start + static_cast<long>(k))] += w;
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> weights(block, 0.0f);
    const auto [first, last] = inside(plan.starts[i], block, length);
    for (std::size_t k = first; k < last; ++k)
      weights[k] = static_cast<float>(raw[i][k] / sum[static_cast<std::size_t>(plan.starts[i] + static_cast<long>(k))]);
    plan.weights.push_back(std::move(weights));
  }
  return plan;
}

void cut_block(const Map& map, long x, long y, long z, std::size_t block, float scale, float* out) {
  const std::vector<std::size_t> at_x = wrapped(x, block, map.nx), at_y = wrapped(y, block, map.ny),
                                 at_z = wrapped(z, block, map.nz);
  const float factor = 1.0f / scale;
  for (const std::size_t k : at_z)
    for (const std::size_t j : at_y) {
      const float* row = &map.data[map.index(0, j, k)];
      for (const std::size_t i : at_x) *out++ = row[i] * factor;
    }
}

void add_block(const float* block, const AxisPlan& px, std::size_t ix, const AxisPlan& py, std::size_t iy,
               const AxisPlan& pz, std::size_t iz, Map& map) {
  const std::size_t edge = px.block;
  const long x = px.starts[ix], y = py.starts[iy], z = pz.starts[iz];
  const Range rx = inside(x, edge, map.nx), ry = inside(y, edge, map.ny), rz = inside(z, edge, map.nz);
  const float* wx = px.weights[ix].data();
  for (std::size_t k = rz.first; k < rz.last; ++k)
    for (std::size_t j = ry.first; j < ry.last; ++j) {
      const float w = pz.weights[iz][k] * py.weights[iy][j];
      float* row = &map.data[map.index(static_cast<std::size_t>(x + static_cast<long>(rx.first)),
                                       static_cast<std::size_t>(y + static_cast<long>(j)),
                                       static_cast<std::size_t>(z + static_cast<long>(k)))];
      const float* source = block + (k * edge + j) * edge;
      for (std::size_t i = rx.first; i < rx.last; ++i) row[i - rx.first] += w * wx[i] * source[i];
    }
}

}  // namespace cryored
