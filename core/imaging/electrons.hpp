#pragma once
// How electrons meet a specimen, and how RELION's normalised images relate to counted electrons.

#include <cstddef>

#include "core/imaging/ctf.hpp"

namespace cryored {

/// Interaction parameter sigma in rad / (V A) at `voltage` kV: 2 pi m e lambda / h^2 with the relativistic mass m
/// (Kirkland, Advanced Computing in Electron Microscopy, eq. 5.6). sigma times the projected potential (V A) is a
/// phase.
double interaction_parameter(double voltage);

/// RELION's particle images are normalised and contrast-inverted: background mean 0 and SD 1, particles bright. The
/// intensity g (1 where nothing scatters) is therefore
///     g = 1 - c I,   c = SD / mean of the background's raw counts.
/// Normalisation destroys c. For counted electrons it is the shot noise, 1 / sqrt(electrons per pixel).
double background_contrast(double dose, double pixel_size);  ///< dose in electrons / A^2; throws UsageError unless > 0

/// The dose that the contrast is computed from where nobody says better: electrons / A^2.
inline constexpr double kDefaultDose = 40;

/// g = 1 - c I and I = (1 - g) / c for `count` pixels, in place.
void intensity_from_image(double contrast, std::size_t count, float* pixels);
void image_from_intensity(double contrast, std::size_t count, float* pixels);

/// How far the microscope moves the signal of resolution `resolution` (A) and coarser: the largest gradient of its
/// phase, |lambda D k - Cs lambda^3 k^3 + the tilt's and odd aberrations' share|, in A.
double displacement(const CtfParameters& ctf, double resolution);

/// Edge, in pixels, of the grid on which a box x box image is propagated without aliasing: what leaves one edge of the
/// box must not come back at the other (box + displacement), and the transfer function must be sampled finely enough
/// (twice the displacement). Even, with no prime factor above 5. `resolution` at most Nyquist; 0 takes Nyquist. Throws
/// InputError above 8192 pixels, or two boxes where these are more.
std::size_t padded_box(std::size_t box, double pixel_size, const CtfParameters& ctf, double resolution = 0);

/// The smallest even number >= n without a prime factor above 5.
std::size_t fast_even_size(std::size_t n);

}  // namespace cryored
