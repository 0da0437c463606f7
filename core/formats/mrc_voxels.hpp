#pragma once
// The shape of an MRC file's voxels, of which the rest of the program knows the edge along x only.

#include <string>

namespace cryored {

/// Throws InputError where the header says that voxels are longer along one axis than along another by more than
/// 0.1 %. Axes whose length it leaves open, and z of a single image, are not looked at.
void require_cubic_voxels(const std::string& path);

}  // namespace cryored
