#include "training/density.hpp"

#include <algorithm>
#include <cmath>
#include <gemmi/c4322.hpp>
#include <gemmi/dencalc.hpp>
#include <gemmi/gz.hpp>
#include <gemmi/mmread.hpp>
#include <gemmi/modify.hpp>
#include <gemmi/polyheur.hpp>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {

Structure read_structure(const std::string& path) {
  gemmi::Structure st;
  try {
    st = gemmi::read_structure(gemmi::MaybeGzipped(path));
  } catch (const std::exception& e) {
    throw InputError(Problem{path, "structure", e.what(), "PDB or mmCIF, plain or .gz", "check the file"});
  }
  if (st.models.empty())
    throw InputError(Problem{path, "structure", "no model", "at least one model", "give a PDB or mmCIF with atoms"});
  st.models.erase(st.models.begin() + 1, st.models.end());
  gemmi::setup_entities(st);
  gemmi::remove_alternative_conformations(st);
  gemmi::remove_hydrogens(st);
  gemmi::remove_waters(st);

  Structure out;
  out.path = path;
  double mass = 0, cx = 0, cy = 0, cz = 0;
  for (const auto& chain : st.models[0].chains)
    for (const auto& residue : chain.residues)
      for (const auto& atom : residue.atoms) {
        if (!gemmi::C4322<double>::has(atom.element.elem))
          throw InputError(Problem{path, "atom " + atom.name + " of " + residue.str(), atom.element.name(),
                                   "elements with electron scattering factors", "remove the atom"});
        const double w = atom.element.weight();
        out.atoms.push_back({atom.pos.x, atom.pos.y, atom.pos.z, atom.element.ordinal()});
        mass += w;
        cx += w * atom.pos.x;
        cy += w * atom.pos.y;
        cz += w * atom.pos.z;
      }
  if (out.atoms.empty())
    throw InputError(Problem{path, "structure", "no atoms", "at least one atom", "give a PDB or mmCIF with atoms"});
  for (auto& a : out.atoms) {
    a.x -= cx / mass;
    a.y -= cy / mass;
    a.z -= cz / mass;
    out.radius = std::max(out.radius, std::sqrt(a.x * a.x + a.y * a.y + a.z * a.z));
  }
  return out;
}

Map density_map(const Structure& structure, const DensityOptions& options) {
  const double side = static_cast<double>(options.box) * options.voxel;
  if (2 * structure.radius > side)
    throw InputError(Problem{structure.path, "size", std::to_string(2 * structure.radius) + " A across",
                             "at most box times pixel size = " + std::to_string(side) + " A", "take a larger box"});
  // Fine enough that the sharpest atom is sampled without aliasing, then cropped in Fourier space.
  const double finest = std::clamp(std::sqrt(options.b_factor + 4) / 8.0, 0.4, 1.0);
  const auto factor = static_cast<std::size_t>(std::max(1.0, std::ceil(options.voxel / finest)));
  const std::size_t fine = options.box * factor;

  gemmi::DensityCalculator<gemmi::C4322<double>, float> calculator;
  calculator.grid.unit_cell.set(side, side, side, 90, 90, 90);
  calculator.grid.set_size(static_cast<int>(fine), static_cast<int>(fine), static_cast<int>(fine));
  calculator.cutoff = 1e-4f;
  gemmi::Atom atom;
  atom.occ = 1;
  atom.b_iso = static_cast<float>(options.b_factor);
  const auto& r = options.rotation.m;
  for (const auto& a : structure.atoms) {
    atom.element = gemmi::Element(a.element);
    atom.pos = gemmi::Position(r[0][0] * a.x + r[0][1] * a.y + r[0][2] * a.z + side / 2,
                               r[1][0] * a.x + r[1][1] * a.y + r[1][2] * a.z + side / 2,
                               r[2][0] * a.x + r[2][1] * a.y + r[2][2] * a.z + side / 2);
    calculator.add_atom_density_to_grid(atom);
  }
  Map map(fine, fine, fine);
  std::copy(calculator.grid.data.begin(), calculator.grid.data.end(), map.data.begin());
  return factor == 1 ? map : fourier_resize(map, options.box);
}

}  // namespace cryored
