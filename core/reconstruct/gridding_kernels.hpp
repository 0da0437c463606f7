#pragma once
// The passes of one gridding round as plain functions over plain data, compiled once per
// instruction set (gridding_kernels_*.cpp). What they compute is told in gridding.hpp.

#include <cstddef>

#include "core/reconstruct/batch_fft.hpp"

namespace cryored::batch {

/// Columns (all kz) are stored in groups of 32 neighbours in kx at one ky: [2 reach + 1][32].
constexpr int group_width = 32;
struct Group {
  int ky;              ///< index on the y axis, 0 .. M_y - 1
  int kx;              ///< first kx, a multiple of 32
  int reach;           ///< largest |kz| of any column of the group
  std::size_t offset;  ///< of its first value in weight and n
};

template <typename Real>
struct GridView {
  int m, my;   ///< grid length along x and z; along y (1 for a 2D reference)
  int radius;  ///< R
  int planes;  ///< z = 0 .. planes - 1 are kept: beta is 0 beyond, and c(-x) = c(x)
  int chunks;  ///< groups along kx
  const Group* groups;
  const int* group_at;  ///< [my][chunks], -1 where the ball has nothing
  const int* rows;      ///< [planes] largest |y| with beta > 0 in that plane
  PlanView<Real> plan_z, plan_y;
  const Real* weight;  ///< W in groups
  Real* n;             ///< n in groups
  Real* planes_data;   ///< [planes][group][2 halves][re 16 | im 16]
  std::size_t plane_stride;
  const Real* beta;  ///< by squared distance; beta[limit] = 0
  int limit;
  const int* square;               ///< [m] squared coordinate of an index
  const int* partner;              ///< [m] squared coordinate of the opposite index
  Real norm;                       ///< 1 / number of grid points
  bool skewed;                     ///< beta is not even (see gridding.hpp); the rest is for that case only
  Real *edge_x, *edge_y, *edge_z;  ///< c on the planes of index (m - 1) / 2: [z][y], [z][x], [y][x]
  /// Transforms Q of the odd part on those planes, real then imaginary parts: z [my][32 chunks],
  /// y [m][32 chunks] and x [m][my]; phase[k] = exp(2 pi i k h / m), at least max(m, 32 chunks) of them.
  const Real *odd_x, *odd_y, *odd_z, *phase;
  int phase_count;
};

template <typename Real>
struct Kernels {
  const char* name;
  int lanes;
  Real* (*transform)(const PlanView<Real>&, Real* a, Real* b, Real* work, bool inverse);
  /// Columns of one group: unless first, transform to C along z and update n; unless last, n W back to planes.
  void (*columns)(const GridView<Real>&, int group, bool first, bool last, Real* buffers);
  /// One plane: inverse along y and x, times beta, forward along x and y.
  void (*plane)(const GridView<Real>&, int z, Real* buffers);
  /// Reals that `buffers` holds.
  std::size_t (*buffer_size)(int m, int my, int chunks);
};

template <typename Real>
const Kernels<Real>* generic_kernels();
template <typename Real>
const Kernels<Real>* avx2_kernels();
template <typename Real>
const Kernels<Real>* avx512_kernels();

/// The best set that this processor runs; CRYORED_SIMD=generic|avx2|avx512 lowers it.
template <typename Real>
const Kernels<Real>& kernels();

}  // namespace cryored::batch
