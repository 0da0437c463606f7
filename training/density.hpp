#pragma once
// Electron scattering density of an atomic structure, by gemmi: International
// Tables C, table 4.3.2.2 (five Gaussians per element, valid to s = 2 / A).

#include <cstdint>
#include <string>

#include "core/fourier/grid.hpp"
#include "training/orientation.hpp"

namespace cryored {

struct DensityOptions {
  std::size_t box = 48;  ///< voxels per axis, even
  double voxel = 2.5;    ///< A
  double b_factor = 50;  ///< A^2, the same for every atom: refined B factors of the entries are not comparable
  Rotation rotation;     ///< applied to the atoms about their centre of mass
};

/// An atomic model reduced to what scatters: waters and hydrogens left out (hydrogens
/// are missing from most entries), first model, highest-occupancy conformer.
struct Structure {
  struct Atom {
    double x, y, z;  ///< A, relative to the centre of mass
    int element;     ///< atomic number
  };
  std::vector<Atom> atoms;
  double radius = 0;  ///< A, of the sphere about the centre of mass that holds every atom
  std::string path;
};

/// Reads PDB or mmCIF, plain or .gz. Throws InputError (unreadable, no atoms, unknown element).
Structure read_structure(const std::string& path);

/// Density with the centre of mass at voxel box/2, band-limited to the map's Nyquist
/// frequency. Throws InputError when the structure does not fit the box.
Map density_map(const Structure& structure, const DensityOptions& options);

}  // namespace cryored
