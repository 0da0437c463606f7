#pragma once
// RELION's gridding correction (Pipe & Menon 1999, as in RELION's BackProjector): the weight n for
// which the blob-smoothed n W is flat.
//
// Ten rounds on a periodic grid of M = 2 (R + 1) + 1 points an axis: n = 1 inside the ball |k| < R,
// 0 outside; C = F{ beta(r / (N p)) F^-1{n W} }; n <- n / max(1e-6, |C|). beta is the transform of a
// Kaiser-Bessel blob (order 0, radius 3.8 grid points whatever the padding, alpha 15) over its value
// at 0, read from a table of 10,000 steps of 5e-5 without interpolation, 0 from 0.5 on.
//
// How it is done fast. n W is real and symmetric, so its transform is too: it is real along z to
// begin with, only planes z >= 0 are kept, and beta is 0 beyond r = N p / 2. One sweep over columns
// (forward along z, update, inverse along z) and one over planes (y, x, times beta, x, y, within the
// cache) make a round. Two real sequences share one complex transform.
//
// RELION counts the index (M - 1) / 2 as the coordinate -(M + 1) / 2, so where beta reaches the edge
// of the grid (current size < box) it is not even and C not real. The even part of beta goes through
// the same passes; the odd part lives on three planes, whose 2D transforms give C's imaginary part.
//
// Precision: single where n W spans a narrow range, else double (the first rounds as a rule, and all
// of them where tau2 is 0 and K is nearly so: 1000 / K makes the rounds amplify any error).

#include <functional>

#include "core/reconstruct/pipeline.hpp"

namespace cryored {

struct GriddingStatistics {
  int rounds = 0, double_rounds = 0;
};

/// Writes W of `count` neighbouring columns of the ball; column i begins at values + i * stride.
using ColumnWeights = std::function<void(const HalfBall::Column* first, int count, double* values, long stride)>;

/// @param extent N p, in voxels of the padded box
/// @returns n, one per coefficient of the ball
BallWeights gridding_weights(const HalfBall& ball, const ColumnWeights& weights, double extent, int rounds,
                             GriddingStatistics* statistics = nullptr);

/// beta as RELION's table holds it, by squared integer distance; ends at the first 0, kept.
std::vector<double> blob_table(double extent);

}  // namespace cryored
