#pragma once
// Central slices of a map's transform and their adjoint. Slices are lists of the
// coefficients of a 2D half plane; coefficients carry fft.hpp's 2D scaling (1/N^2) of
// the sum of the map along the view, with the origin at pixel N/2 taken out.

#include <complex>
#include <cstdint>
#include <vector>

#include "core/fourier/grid.hpp"
#include "simulation/orientation.hpp"

namespace cryored {

/// Pixels (kx, ky) of a half plane with kx^2 + ky^2 <= radius^2: kx > 0, or kx == 0 and
/// ky >= 0, so that every Friedel pair appears once.
struct SlicePixels {
  std::size_t box = 0;
  int radius = 0;
  std::vector<float> kx, ky;
  std::size_t size() const { return kx.size(); }
};
SlicePixels slice_pixels(std::size_t box, int radius);

/// Transform of an image from slice coefficients, moved by (dx, dy) pixels, origin at N/2; and back.
Map image_from_slice(const SlicePixels& pixels, const std::complex<float>* slice, double dx, double dy);

/// Multiplies slice coefficients by the phase of a move by (dx, dy) pixels.
void move_slice(const SlicePixels& pixels, double dx, double dy, std::complex<float>* slice);

/// Slices by trilinear interpolation in a transform padded `padding`-fold; the map is
/// divided by the interpolation's real-space envelope (sinc^2 per axis) beforehand, as RELION does. The transform is
/// kept in half floats (11 bits: 1e-4 of a coefficient): a slice waits for memory more than for arithmetic.
class Projector {
 public:
  Projector(const Map& map, int padding, int radius);
  void slice(const SlicePixels& pixels, const Rotation& rotation, std::complex<float>* out) const;

 private:
  int padding_;
  long centre_, side_, width_;
  float unit_;  // of cube_
  // Half floats, real and imaginary parts in turn; x from -1 on, width_ of them; y and z with frequency 0 at centre_.
  std::vector<std::uint16_t, AlignedAllocator<std::uint16_t>> cube_;
};

/// Trilinear insertion of slices into unpadded B (data) and K (weight) arrays.
class Backprojector {
 public:
  Backprojector(std::size_t box, int radius);
  /// B += weight * value, K += weight (times interpolation weights).
  void insert(const SlicePixels& pixels, const Rotation& rotation, const std::complex<float>* values, float weight);
  /// Unregularised map B/K inside the radius, divided by sinc^2; coefficients whose K is
  /// under 1e-3 of their shell's mean take that floor (as RELION's --skip_gridding does).
  Map unregularised() const;
  /// Mean K per shell, 0 .. radius.
  std::vector<double> shell_weight() const;

 private:
  std::size_t box_;
  int radius_;
  long centre_, side_;
  std::vector<std::complex<float>> data_;
  std::vector<float> weight_;
};

}  // namespace cryored
