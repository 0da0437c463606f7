#pragma once
// Electrostatic potential of a structure in ice, projected along the view: what the phase of the exit wave comes from
// (models/imaging/wave.hpp). Form factors are gemmi's (International Tables C, 4.3.2.2).

#include <cstdint>

#include "core/fourier/grid.hpp"
#include "simulation/density.hpp"

namespace cryored {

/// h^2 / (2 pi m0 e) in V A^2: a density of electron form factors (density_map, in 1/A^2) times this is volts.
inline constexpr double kVoltsPerDensity = 47.87801;

/// Density of vitreous ice in molecules per A^3 (0.94 g / cm^3), and its mean inner potential in V from the same form
/// factors (O + 2 H): 4.6 V; Vulovic et al. (2013) give 4.5.
inline constexpr double kIceDensity = 0.0314;
double ice_inner_potential();

struct PotentialOptions {
  std::size_t box = 128;  ///< pixels, even
  double pixel_size = 1;  ///< A
  double b_factor = 50;   ///< A^2, the same for every atom
  Rotation rotation;      ///< applied to the atoms about their centre of mass, RELION's convention
  double x = 0, y = 0;    ///< A, move of the particle after the rotation
  /// Adds to each heavy atom the hydrogens that it carries on average in proteins and nucleic acids, at its place:
  /// structure files lack most of them, and they are a seventh of the potential.
  bool hydrogens = true;
  /// Takes away the potential of the ice that the atoms displace (Fraser et al., J. Appl. Cryst. 11 (1978) 693: a
  /// Gaussian of each atom's volume). Without it the particle stands in vacuum.
  bool in_ice = true;
};

/// Projected potential in V A, box x box, above that of the ice around; the centre of mass at pixel box/2 (plus x, y),
/// band-limited to Nyquist. Parts that lie outside the box are cut off at its edge: none wraps around. Throws
/// UsageError for a box or pixel size out of range.
Map projected_potential(const Structure& structure, const PotentialOptions& options);

/// The same in three dimensions, in V: density_map times kVoltsPerDensity, in vacuum, without hydrogens.
Map potential_map(const Structure& structure, const DensityOptions& options);

/// A layer of vitreous ice without particle: a Gaussian random field of mean 0 with the power of independent molecules,
/// times the structure factor of amorphous ice (about 0.06 for long waves, a maximum at 3.7 A), times what is left of
/// it in the sum of an exposure while the beam moves the molecules.
struct IceOptions {
  double thickness = 300;  ///< A; 0: none
  /// A^2 for each electron / A^2, per axis: mean square move of a molecule (McMullan et al., Ultramicroscopy 158 (2015)
  /// 26, find 1 A or so for 1 electron / A^2).
  double motion = 0.5;
  double dose = 40;  ///< electrons / A^2 of the whole exposure
};

/// Projected potential of such a layer in V A. The same seed gives the same field.
Map ice_layer(std::size_t box, double pixel_size, const IceOptions& options, std::uint64_t seed);

/// The field's power per frequency in (V A)^2 A^2, k in 1/A: the variance of a coefficient times the area.
double ice_power(double k, const IceOptions& options);

}  // namespace cryored
