#pragma once
// Negative controls: refinements in which there is nothing to find, or that begin with the wrong map. What agrees there
// was invented.

#include <string>

#include "simulation/particles.hpp"

namespace cryored {

/// The start map in `folder` (a data set's: initial.mrc is there), made where it is not there yet:
///   ""          initial.mrc
///   "mirrored"  the same, mirrored
///   a PDB or mmCIF file: that structure at the same resolution, on the grey scale that its own particles would have.
std::string start_map(const std::string& kind, const ParticleOptions& options, const std::string& folder);

/// For the name of a cell's folder: "", "_mirrored", "_from_1A2K".
std::string start_map_suffix(const std::string& kind);

}  // namespace cryored
