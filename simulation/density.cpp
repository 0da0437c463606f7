#include "simulation/density.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <gemmi/c4322.hpp>
#include <gemmi/dencalc.hpp>
#include <gemmi/gz.hpp>
#include <gemmi/mmread.hpp>
#include <gemmi/modify.hpp>
#include <gemmi/polyheur.hpp>
#include <map>
#include <numbers>
#include <optional>
#include <vector>

#include "core/base/error.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

void require_fit(const Structure& structure, double side) {
  if (2 * structure.radius > side)
    throw InputError(Problem{structure.path, "size", std::to_string(2 * structure.radius) + " A across",
                             "at most box times pixel size = " + std::to_string(side) + " A", "take a larger box"});
}

/// Of the alternatives (items with a rank) with one key the one of the smallest rank, of a tie the first; the others
/// all stay, in their order.
template <class Item, class Key, class Rank>
void keep_first_in_rank(std::vector<Item>& items, const Key& key, const Rank& rank) {
  std::map<decltype(key(items[0])), std::size_t> best;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!rank(items[i])) continue;
    const auto [at, fresh] = best.try_emplace(key(items[i]), i);
    if (!fresh && *rank(items[i]) < *rank(items[at->second])) at->second = i;
  }
  std::vector<Item> kept;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (!rank(items[i]) || best[key(items[i])] == i) kept.push_back(std::move(items[i]));
  items = std::move(kept);
}

/// Each residue in its conformer of the highest occupancy. gemmi's remove_alternative_conformations() keeps the first.
/// The mean over a conformer's atoms counts: where residues of two kinds share a place, the sum would favour the
/// larger. What the file does not call an alternative (altloc) stays: chains without names and lost insertion codes
/// repeat numbers, and names in them.
void keep_likeliest_conformers(gemmi::Chain& chain) {
  struct Conformer {
    char altloc;
    double occupancy = 0;
    int atoms = 0;
  };
  std::map<gemmi::SeqId, std::vector<Conformer>> places;
  for (const auto& residue : chain.residues)
    for (const auto& atom : residue.atoms) {
      if (atom.altloc == '\0') continue;
      auto& all = places[residue.seqid];
      auto at = std::find_if(all.begin(), all.end(), [&](const Conformer& c) { return c.altloc == atom.altloc; });
      if (at == all.end()) at = all.insert(all.end(), Conformer{atom.altloc});
      at->occupancy += static_cast<double>(atom.occ);
      ++at->atoms;
    }
  for (auto& [place, all] : places)
    std::stable_sort(all.begin(), all.end(), [](const Conformer& a, const Conformer& b) {
      return a.occupancy / a.atoms > b.occupancy / b.atoms;
    });
  using Rank = std::optional<std::size_t>;
  const auto rank_in = [&](const gemmi::Residue& residue, const gemmi::Atom& atom) {
    if (atom.altloc == '\0') return Rank();
    std::size_t rank = 0;
    while (places[residue.seqid][rank].altloc != atom.altloc) ++rank;
    return Rank(rank);
  };
  keep_first_in_rank(
      chain.residues, [](const gemmi::Residue& r) { return r.seqid; },
      [&](const gemmi::Residue& r) {
        Rank least;
        for (const auto& atom : r.atoms) {
          const Rank rank = rank_in(r, atom);
          if (!rank) return Rank();
          least = std::min(least.value_or(*rank), *rank);
        }
        return least;
      });
  // An atom that this conformer lacks may be in another one.
  for (auto& residue : chain.residues)
    keep_first_in_rank(
        residue.atoms, [](const gemmi::Atom& a) { return a.name; },
        [&](const gemmi::Atom& a) { return rank_in(residue, a); });
}

/// Without gemmi's estimate of the size, which knows of the last gzip member alone: bgzip and cat make several.
class StructureFile : public gemmi::MaybeGzipped {
 public:
  using gemmi::MaybeGzipped::MaybeGzipped;

  /// In place of gemmi's. Throws std::runtime_error for a file that is damaged or cut short.
  gemmi::CharArray uncompress_into_buffer() {
    gemmi::CharArray text;
    if (!is_compressed()) return text;
    const gzFile file = get_uncompressing_stream().f;
    std::size_t size = 0, count = 0, room = 0;
    do {
      text.resize(std::max<std::size_t>(1 << 20, 2 * size));
      room = text.size() - size;
      count = gzread_checked(text.data() + size, room);
      size += count;
    } while (count == room);
    int error = Z_OK;
    gzerror(file, &error);
    if (error != Z_OK) gemmi::fail("the file ends within the compressed data");
    text.set_size(size);
    return text;
  }
};

/// gemmi reads a blank occupancy of a PDB file as 0, like one that says so. Programs that leave the column blank
/// mean 1.
gemmi::Structure read_pdb(StructureFile& input) {
  gemmi::CharArray text = gemmi::read_into_buffer(input);
  char* const end = text.data() + text.size();
  for (char* line = text.data(); line < end;) {
    char* const next = std::find(line, end, '\n');
    constexpr std::ptrdiff_t first = 54, last = 60;
    if (next - line > first &&
        (gemmi::pdb_impl::is_record_type(line, "ATOM") || gemmi::pdb_impl::is_record_type(line, "HETATM"))) {
      char* const column = line + first;
      char* const column_end = std::min(line + last, next);
      const bool blank = std::all_of(column, column_end, [](unsigned char c) { return std::isspace(c) != 0; });
      if (blank) *column = '1';
    }
    line = next == end ? end : next + 1;
  }
  return gemmi::read_pdb_from_memory(text.data(), text.size(), input.path());
}

}  // namespace

Structure read_structure(const std::string& path, bool hydrogens) {
  gemmi::Structure st;
  try {
    StructureFile input(path);
    const bool pdb = gemmi::coor_format_from_ext(input.basepath()) == gemmi::CoorFormat::Pdb;
    st = pdb ? read_pdb(input) : gemmi::read_structure(input);
  } catch (const std::exception& e) {
    throw InputError(Problem{path, "structure", e.what(), "PDB or mmCIF, plain or .gz", "check the file"});
  }
  if (st.models.empty())
    throw InputError(Problem{path, "structure", "no model", "at least one model", "give a PDB or mmCIF with atoms"});
  st.models.erase(st.models.begin() + 1, st.models.end());
  gemmi::setup_entities(st);
  Structure out;
  out.path = path;
  for (auto& chain : st.models[0].chains) {
    // Built without evidence of where they are.
    for (auto& residue : chain.residues) {
      const std::size_t all = residue.atoms.size();
      gemmi::vector_remove_if(residue.atoms, [](const gemmi::Atom& a) { return !(a.occ > 0); });
      out.without_occupancy += all - residue.atoms.size();
    }
    keep_likeliest_conformers(chain);
  }
  if (!hydrogens) gemmi::remove_hydrogens(st);
  gemmi::remove_waters(st);

  double mass = 0, cx = 0, cy = 0, cz = 0;
  for (const auto& chain : st.models[0].chains)
    for (const auto& residue : chain.residues)
      for (const auto& atom : residue.atoms) {
        // X, an atom of no known element, has the factors of oxygen there, and no mass.
        if (atom.element == gemmi::El::X || !gemmi::C4322<double>::has(atom.element.elem))
          throw InputError(Problem{path, "atom " + atom.name + " of " + residue.str(),
                                   "element " + std::string(atom.element.name()),
                                   "elements with electron scattering factors",
                                   "remove the atom, or state its element where the file lacks it"});
        const double w = atom.element.weight();
        out.atoms.push_back({atom.pos.x, atom.pos.y, atom.pos.z, atom.element.atomic_number()});
        mass += w;
        cx += w * atom.pos.x;
        cy += w * atom.pos.y;
        cz += w * atom.pos.z;
      }
  if (out.atoms.empty())
    throw InputError(Problem{path, "structure", "no atom that counts",
                             "at least one beside waters, hydrogens and what has occupancy 0",
                             "give a PDB or mmCIF with atoms"});
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
  require_fit(structure, side);
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

Map pdb_to_mrc(const Structure& structure, const PdbToMrcOptions& options) {
  require_fit(structure, static_cast<double>(options.box) * options.voxel);
  Map map(options.box, options.box, options.box);
  map.fill(0);
  const double width = options.resolution / std::numbers::pi / options.voxel;  // voxels
  const double reach = width * std::sqrt(std::log(1e7));
  const auto centre = static_cast<double>(options.box / 2);
  const long last = static_cast<long>(options.box) - 1;
  for (const auto& atom : structure.atoms) {
    const double at[3] = {atom.x / options.voxel + centre, atom.y / options.voxel + centre,
                          atom.z / options.voxel + centre};
    long from[3], to[3];
    std::vector<double> profile[3];
    for (int a = 0; a < 3; ++a) {
      from[a] = std::max(0L, static_cast<long>(std::ceil(at[a] - reach)));
      to[a] = std::min(last, static_cast<long>(std::floor(at[a] + reach)));
      for (long i = from[a]; i <= to[a]; ++i) {
        const double d = (static_cast<double>(i) - at[a]) / width;
        profile[a].push_back(std::exp(-d * d));
      }
    }
    for (long z = from[2]; z <= to[2]; ++z)
      for (long y = from[1]; y <= to[1]; ++y) {
        const double row = atom.element * profile[2][static_cast<std::size_t>(z - from[2])] *
                           profile[1][static_cast<std::size_t>(y - from[1])];
        for (long x = from[0]; x <= to[0]; ++x)
          map(static_cast<std::size_t>(x), static_cast<std::size_t>(y), static_cast<std::size_t>(z)) +=
              static_cast<float>(row * profile[0][static_cast<std::size_t>(x - from[0])]);
      }
  }
  return map;
}

}  // namespace cryored
