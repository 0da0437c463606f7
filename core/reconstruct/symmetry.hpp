#pragma once
// Point groups in RELION's orientations and helices, and averaging of a map over them.
//
// B and K arrive symmetrised from RELION, so the unregularised map has the job's symmetry,
// but a network's output need not: its average over the group is handed to eq. (17).

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/fourier/grid.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {

/// Row-major rotation matrix acting on (x, y, z) about the centre voxel N/2.
using RotationMatrix = std::array<double, 9>;

struct Symmetry {
  std::string name = "C1";
  std::vector<RotationMatrix> rotations{{1, 0, 0, 0, 1, 0, 0, 0, 1}};  ///< the whole group, identity first
  std::optional<HelicalSymmetry> helix;  ///< a positive twist with a positive rise is right-handed, as in RELION

  bool trivial() const { return rotations.size() == 1 && !helix; }
};

/// A group as `relion_refine --sym` takes it: Cn, Dn (2-fold along x), T (3-fold along z), O, I1, I2
/// (= I), I3, I4, upper or lower case; with a helix as "C1,twist=-1.21,rise=4.75" (degrees, A).
/// Groups with mirrors or inversion (CS, CI, Cnv, TD, IH ...) do not occur in chiral molecules and
/// are refused. Throws UsageError that lists the allowed names.
Symmetry parse_symmetry(const std::string& text);

/// Average of a cubic map over the group. Cubic B-spline interpolation (with its prefilter): the
/// amplitude lost on the way is below 0.3 % up to half the Nyquist frequency and 2 % at 0.8 of it. Only
/// voxels within N/2 - 2 of the centre change. Of a helix the repeats within 15 % of the box to
/// either side take part, each where it lies within that sphere.
Map symmetrise(const Map& map, const Symmetry& symmetry, double voxel_size);

}  // namespace cryored
