#pragma once
// Electron scattering density of an atomic structure, by gemmi: International
// Tables C, table 4.3.2.2 (five Gaussians per element, valid to s = 2 / A), in 1/A^2.
// Proteins, nucleic acids, ligands and ions alike; waters never, hydrogens by option.

#include <cstdint>
#include <string>

#include "core/fourier/grid.hpp"
#include "simulation/orientation.hpp"

namespace cryored {

struct DensityOptions {
  std::size_t box = 48;  ///< voxels per axis, even
  double voxel = 2.5;    ///< A
  double b_factor = 50;  ///< A^2, the same for every atom: refined B factors of the entries are not comparable
  Rotation rotation;     ///< applied to the atoms about their centre of mass
};

/// Density as EMAN's pdb2mrc makes it (Kimanius et al. used it): every atom a Gaussian whose height is its atomic
/// number and whose 1/e half width is resolution / pi, sampled on the voxels.
struct PdbToMrcOptions {
  std::size_t box = 96;
  double voxel = 1.5;     ///< A
  double resolution = 3;  ///< A
};

/// An atomic model reduced to what scatters: the first model's atoms as they stand in the file (no assembly is built of
/// them), each residue's conformer of the highest occupancy; waters and atoms of occupancy 0 left out. Residues
/// and atoms that are no alternatives of each other all count, also where they repeat a number or name.
struct Structure {
  struct Atom {
    double x, y, z;  ///< A, relative to the centre of mass
    int element;     ///< atomic number
  };
  std::vector<Atom> atoms;
  double radius = 0;  ///< A, of the sphere about the centre of mass that holds every atom
  std::string path;
  std::size_t without_occupancy = 0;  ///< atoms of the file left out since their occupancy is 0
};

/// Reads PDB or mmCIF, plain or .gz. In a PDB file a blank occupancy is 1. Hydrogens are left out unless wanted: most
/// entries lack them, and data sets of several structures are to be alike. Throws InputError (unreadable, no atoms, an
/// element without scattering factors or not known).
Structure read_structure(const std::string& path, bool hydrogens = false);

/// Density with the centre of mass at voxel box/2, band-limited to the map's Nyquist
/// frequency. Throws InputError when the structure does not fit the box.
Map density_map(const Structure& structure, const DensityOptions& options);

/// The same, with the centre of mass at voxel box/2, in pdb2mrc's units.
Map pdb_to_mrc(const Structure& structure, const PdbToMrcOptions& options);

}  // namespace cryored
