#pragma once
// The stages between RELION's B and K and the map, shared by the Gaussian and the RED path.
// Everything between B and the map is linear in the numerator, so RED only adds to it.
//
// Conventions. k is in units of 1/(P pixel size), P = round(p N); the cut is R = round(p r_max),
// r_max = min(current size / 2, N / 2), and only |k|^2 < R^2 is used. The shell of k is
// s = round(|k| / p). V denotes coefficients in RELION's units: the estimate of B / K, with the
// structure's origin at voxel 0. The constants were settled against relion_external_reconstruct 3.1.3.

#include <complex>
#include <vector>

#include "core/fourier/grid.hpp"
#include "core/reconstruct/gaussian.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {

template <typename T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/// The half ball |k|^2 < R^2, kx >= 0, as columns along the slowest axis: kz in 3D, ky in 2D
/// (there Column::ky is 0 and "kz" below means ky). Memory is that of the ball, not of the cube.
struct HalfBall {
  struct Column {
    int kx, ky;
    int reach;           ///< the column holds kz = -reach .. reach, in this order
    std::size_t offset;  ///< index of kz = -reach; kz has index offset + reach + kz
  };
  int radius = 0;               ///< R
  int dimensionality = 3;       ///< 2 or 3
  std::vector<Column> columns;  ///< ordered by ky (0, 1 .. R-1, -R+1 .. -1), then kx: as the files
  std::size_t size = 0;         ///< number of coefficients

  HalfBall() = default;
  HalfBall(int cut_radius, int dimensions);
};

/// One value per coefficient of a HalfBall.
using BallWeights = AlignedVector<float>;
using BallSpectrum = AlignedVector<std::complex<float>>;

/// Threads worth waking for a ball: threads(), or 1 for the balls of small boxes.
int workers(const HalfBall& ball);

/// R of a request.
int cut_radius(const ReconstructRequest& request);
/// p^3 in 3D, p^2 in 2D.
double padding_volume(const ReconstructRequest& request);

/// What is added to K in each shell 0 .. N/2, the last value serving the shells beyond:
/// 1 / (p^3 T tau2) (2D: p^2), and 0 where tau2 is 0 (there K's own rule holds: K + 1000 / K).
std::vector<double> inverse_tau2(const ReconstructRequest& request);

enum class Prior {
  tau2,  ///< W = K + tau^-2; where tau2 is 0, W = K + 1000 / K if K > 1e-20, else K
  none   ///< W = K everywhere: the unregularised map
};

/// The gridded weight n, so that V = B n: ten rounds n <- n / max(1e-6, |blob * (n W)|), or with
/// skip_gridding 1 / max(W, a thousandth of the mean W over its annulus floor(|k| / p)).
struct FourierWeights {
  HalfBall ball;
  BallWeights n;
};
FourierWeights fourier_weights(const ReconstructRequest& request, const RequestArrays& arrays, Prior prior,
                               const ReconstructOptions& options = {});

/// V = B n.
BallSpectrum weighted_data(const ReconstructRequest& request, const RequestArrays& arrays,
                           const FourierWeights& weights);

/// V to the map: origin to the centre, unnormalised inverse transform on the even padded box, crop to N,
/// division by p^3 N (2D: p^2), soft mask from r = N/2 (width 3) to the mean outside, division by
/// sinc^2(r / (N p)). Returns N^3 (2D: N^2), origin at N/2.
Map finish(const ReconstructRequest& request, const HalfBall& ball, const BallSpectrum& spectrum,
           const ReconstructOptions& options = {});

/// sinc^2(distance / extent), the envelope of linear interpolation; extent: N p voxels.
double sinc_squared(double distance, double extent);

/// Multiplies by sinc^2(r / (N p)), r from voxel N/2: undoes finish()'s division (and RELION's).
void undo_sinc_division(Map& map, double padding);

/// The inverse of finish() but for the soft mask: V of a map N^3 (2D: N^2), inside the cut; finish(spectrum_of(m))
/// gives back m's coefficients below the cut.
BallSpectrum spectrum_of(const ReconstructRequest& request, const HalfBall& ball, const Map& map);

/// Shell of each coefficient of a column, kz = -reach .. reach: round(|k| / p), at most N/2.
/// `shells` holds 2 reach + 1 numbers.
void column_shells(const ReconstructRequest& request, const HalfBall::Column& column, int* shells);

}  // namespace cryored
