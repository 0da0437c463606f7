#pragma once
// Fourier shells: shell s holds the coefficients with round(|k|) == s, k in
// units of 1/(N pixel size); resolution in A of shell s is N * pixel_size / s.

#include <vector>

#include "core/fourier/fft.hpp"

namespace cryored {

/// Fourier shell correlation of two cubic maps (or images) of equal size, shells
/// 0 .. N/2; every stored coefficient counts once, as in RELION (so Friedel pairs count
/// twice on the x = 0 plane and once elsewhere). 0 where a shell of either map is empty.
std::vector<double> fsc(const Map& a, const Map& b);
std::vector<double> fsc(const HalfTransform& a, const HalfTransform& b);

/// Sum of Re <a, b> over the stored coefficients of each shell, 0 .. N/2.
std::vector<double> shell_products(const HalfTransform& a, const HalfTransform& b);

/// Mean power |F|^2 per shell, 0 .. N/2, of forward()'s coefficients.
std::vector<double> shell_power(const HalfTransform& a);

/// The map (or image) with the coefficients of shell s multiplied by factors[s]; shells without a factor become zero.
Map multiply_shells(const Map& map, const std::vector<float>& factors);

/// The map (or image) without its coefficients at |k| >= radius, k in units of 1/(N pixel size): a sharp sphere, where
/// multiply_shells() cuts between whole shells.
Map low_pass(const Map& map, double radius);

/// First downward crossing of `threshold`, shell > 0, linearly interpolated between
/// shells; the last shell when the curve never falls below; 0 when shells 0 and 1 lie
/// below already (nothing agrees). Returns a fractional shell index.
double crossing_shell(const std::vector<double>& curve, double threshold);

/// Resolution in A at a (fractional) shell of a box of `box` pixels; infinite for shell 0.
double shell_resolution(double shell, std::size_t box, double pixel_size);

/// Fourier crop or pad of a cubic map to `box` voxels at the same field of view:
/// the voxel size becomes N * pixel_size / box. Densities and the centre (voxel N/2,
/// rounded down, becomes box/2) are preserved. Coefficients at the Nyquist frequency of
/// the smaller box are dropped; box == N returns the map as it is.
Map fourier_resize(const Map& map, std::size_t box);

/// Real-space crop or pad of a cubic map to `box` voxels of the same size about the
/// centre: voxel N/2 becomes box/2. New voxels take the value `fill`.
Map window(const Map& map, std::size_t box, float fill = 0);

/// Mean of the outermost layer of voxels: the level a map is padded with.
float edge_mean(const Map& map);

/// The boxes of a resampling: `box` is padded to `padded`, whose transform is cropped or
/// padded to `resampled` (both even); padded * from_voxel / resampled is the voxel reached.
struct ResampleBoxes {
  std::size_t padded = 0, resampled = 0;
  double voxel_size = 0;  ///< A
};
/// The cheapest pair with padded >= box that reaches to_voxel within 0.1 %.
ResampleBoxes resample_boxes(std::size_t box, double from_voxel, double to_voxel);

/// Resamples a cubic map to voxel size `to_voxel` (A), where N*from/to need not be an
/// integer: the field of view is first padded with the edge mean to an even box pair
/// that fits the ratio within 0.1 % (resample_boxes); returns the new map and the exact
/// voxel size reached. Densities are preserved; the centre N/2 stays the centre.
struct Resampled {
  Map map;
  double voxel_size;
};
Resampled resample(const Map& map, double from_voxel, double to_voxel);

/// Real-space soft spherical mask: 1 inside radius - edge/2, raised cosine of width `edge` (voxels).
Map spherical_mask(std::size_t box, double radius, double edge);

}  // namespace cryored
