#include "simulation/density.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "tests/simulation/small_structure.hpp"

namespace cryored {
namespace {

TEST(Density, CentreOfMassLiesAtTheCentreVoxel) {
  DensityOptions o;
  o.box = 32;
  o.voxel = 2;
  const Map map = density_map(test::small_structure(), o);
  double mass = 0, c[3] = {0, 0, 0};
  for (std::size_t z = 0; z < 32; ++z)
    for (std::size_t y = 0; y < 32; ++y)
      for (std::size_t x = 0; x < 32; ++x) {
        const double v = map(x, y, z);
        mass += v;
        c[0] += v * static_cast<double>(x);
        c[1] += v * static_cast<double>(y);
        c[2] += v * static_cast<double>(z);
      }
  for (const double sum : c) EXPECT_NEAR(sum / mass, 16, 0.2);
}

TEST(Density, IntegralDoesNotDependOnVoxelOrBFactor) {
  const auto integral = [](double voxel, double b) {
    DensityOptions o;
    o.box = static_cast<std::size_t>(96 / voxel);
    o.voxel = voxel;
    o.b_factor = b;
    const Map map = density_map(test::small_structure(), o);
    double sum = 0;
    for (const float v : map.data) sum += v;
    return sum * voxel * voxel * voxel;
  };
  const double reference = integral(1, 50);
  EXPECT_NEAR(integral(3, 50) / reference, 1, 0.01);
  EXPECT_NEAR(integral(2, 120) / reference, 1, 0.02);
}

TEST(Density, StructureLargerThanTheBoxIsRefusedWithTheNumbers) {
  DensityOptions o;
  o.box = 16;
  o.voxel = 1;
  try {
    density_map(test::small_structure(), o);
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("16"), std::string::npos) << e.what();
  }
}

TEST(Density, ReadsPdbAndDropsWatersAndHydrogens) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "density.pdb";
  std::ofstream(path) << "ATOM      1  N   GLY A   1      11.000  12.000  13.000  1.00 20.00           N\n"
                         "ATOM      2  CA  GLY A   1      12.400  12.000  13.000  1.00 20.00           C\n"
                         "ATOM      3  H   GLY A   1      10.500  12.000  13.900  1.00 20.00           H\n"
                         "HETATM    4  O   HOH A 101      20.000  20.000  20.000  1.00 20.00           O\n"
                         "END\n";
  const Structure s = read_structure(path.string());
  ASSERT_EQ(s.atoms.size(), 2u);
  EXPECT_EQ(s.atoms[0].element, 7);
  EXPECT_NEAR(s.atoms[1].x - s.atoms[0].x, 1.4, 1e-6);
  std::filesystem::remove(path);
  EXPECT_THROW(read_structure(path.string()), InputError);
}

TEST(Density, NucleicAcidsLigandsAndIonsCountAndHydrogensByOption) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "density.cif";
  std::ofstream(path) << "data_TEST\nloop_\n_atom_site.group_PDB\n_atom_site.id\n_atom_site.type_symbol\n"
                         "_atom_site.label_atom_id\n_atom_site.label_alt_id\n_atom_site.label_comp_id\n"
                         "_atom_site.label_asym_id\n_atom_site.label_entity_id\n_atom_site.label_seq_id\n"
                         "_atom_site.Cartn_x\n_atom_site.Cartn_y\n_atom_site.Cartn_z\n_atom_site.occupancy\n"
                         "_atom_site.B_iso_or_equiv\n_atom_site.auth_asym_id\n_atom_site.auth_seq_id\n"
                         "_atom_site.pdbx_PDB_model_num\n"
                         "ATOM 1 P P . DA A 1 1 0 0 0 1 20 A 1 1\n"
                         "ATOM 2 O OP1 . DA A 1 1 1.5 0 0 1 20 A 1 1\n"
                         "HETATM 3 C C1 . ATP B 2 . 5 0 0 1 20 B 1 1\n"
                         "HETATM 4 H H1 . ATP B 2 . 6 0 0 1 20 B 1 1\n"
                         "HETATM 5 MG MG . MG C 3 . 9 0 0 1 20 C 1 1\n"
                         "HETATM 6 O O . HOH D 4 . 12 0 0 1 20 D 1 1\n";
  std::vector<int> elements;
  for (const auto& atom : read_structure(path.string()).atoms) elements.push_back(atom.element);
  EXPECT_EQ(elements, (std::vector<int>{15, 8, 6, 12}));
  EXPECT_EQ(read_structure(path.string(), true).atoms.size(), 5u);
}

/// Atoms "name altloc residue number x occupancy element" as the lines of a PDB file.
std::string pdb_line(const char* name, char altloc, const char* residue, int number, double x, double occupancy,
                     const char* element) {
  char line[96];
  std::snprintf(line, sizeof line, "HETATM%5d %-4s%c%3s A%4d    %8.3f%8.3f%8.3f%6.2f%6.2f          %2s\n", 1, name,
                altloc, residue, number, x, 0.0, 0.0, occupancy, 20.0, element);
  return line;
}

/// Atomic numbers and x, relative to the first atom's.
std::vector<std::pair<int, double>> read_atoms(const std::string& text, bool hydrogens = false) {
  const TemporaryFolder folder;
  const std::string path = folder / "density.pdb";
  std::ofstream(path) << text << "END\n";
  std::vector<std::pair<int, double>> atoms;
  const Structure s = read_structure(path, hydrogens);
  for (const auto& a : s.atoms) atoms.emplace_back(a.element, std::round(1000 * (a.x - s.atoms[0].x)) / 1000);
  return atoms;
}

void append_gzip_member(const std::string& path, const std::string& text) {
  const gzFile file = gzopen(path.c_str(), "ab");
  ASSERT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
}

// The last member alone has the size that the end of the file tells.
TEST(Density, ReadsFilesOfSeveralGzipMembers) {
  const TemporaryFolder folder;
  const std::string pdb = folder / "a.pdb.gz", cif = folder / "a.cif.gz";
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += pdb_line("C", ' ', "LIG", i, 1.7 * i, 1, "C");
  append_gzip_member(pdb, lines);
  append_gzip_member(pdb, pdb_line("N", ' ', "LIG", 201, 400, 1, "N") + "END\n");
  EXPECT_EQ(read_structure(pdb).atoms.size(), 201u);
  lines =
      "data_TEST\nloop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.label_atom_id\n_atom_site.label_alt_id\n"
      "_atom_site.label_comp_id\n_atom_site.label_asym_id\n_atom_site.label_seq_id\n_atom_site.Cartn_x\n"
      "_atom_site.Cartn_y\n_atom_site.Cartn_z\n_atom_site.occupancy\n_atom_site.B_iso_or_equiv\n"
      "_atom_site.auth_asym_id\n_atom_site.auth_seq_id\n";
  for (int i = 0; i < 200; ++i) {
    const std::string number = std::to_string(i);
    lines += number + " C C . LIG A . " + number + ".7 0 0 1 20 A " + number + "\n";
  }
  append_gzip_member(cif, lines);
  append_gzip_member(cif, "201 N N . LIG A . 400 0 0 1 20 A 201\n");
  EXPECT_EQ(read_structure(cif).atoms.size(), 201u);
  std::filesystem::resize_file(pdb, std::filesystem::file_size(pdb) - 12);
  try {
    read_structure(pdb);
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("ends within the compressed data"), std::string::npos) << e.what();
  }
}

TEST(Density, OfAlternativesTheOneOfTheHighestOccupancyCounts) {
  using Atoms = std::vector<std::pair<int, double>>;
  const std::string first = pdb_line(" N", ' ', "SER", 1, 0, 1, "N");
  // B, in both atoms, though A comes first.
  EXPECT_EQ(
      read_atoms(first + pdb_line(" CA", 'A', "SER", 1, 1, 0.4, "C") + pdb_line(" CA", 'B', "SER", 1, 2, 0.6, "C") +
                 pdb_line(" CB", 'A', "SER", 1, 3, 0.4, "C") + pdb_line(" CB", 'B', "SER", 1, 4, 0.6, "C")),
      (Atoms{{7, 0}, {6, 2}, {6, 4}}));
  // A tie: the first. What only the other conformer has stays.
  EXPECT_EQ(read_atoms(first + pdb_line(" CA", 'A', "SER", 1, 1, 0.5, "C") +
                       pdb_line(" CA", 'B', "SER", 1, 2, 0.5, "C") + pdb_line(" OG", 'B', "SER", 1, 3, 0.5, "O")),
            (Atoms{{7, 0}, {6, 1}, {8, 3}}));
  // Residues of two kinds in one place: the likelier one, though the other has more atoms.
  EXPECT_EQ(read_atoms(first + pdb_line(" CA", 'A', "THR", 2, 1, 0.4, "C") +
                       pdb_line(" CB", 'A', "THR", 2, 2, 0.4, "C") + pdb_line(" CA", 'B', "ALA", 2, 3, 0.6, "C")),
            (Atoms{{7, 0}, {6, 3}}));
  // No evidence, no atom; a residue whose other conformer has occupancy 0.
  EXPECT_EQ(read_atoms(first + pdb_line(" CA", ' ', "SER", 1, 1, 0, "C") + pdb_line(" CB", 'A', "SER", 1, 2, 0, "C") +
                       pdb_line(" CB", 'B', "SER", 1, 3, 0.3, "C")),
            (Atoms{{7, 0}, {6, 3}}));
}

TEST(Density, BlankOccupanciesAreOneAndThoseOfZeroAreCounted) {
  const auto blank = [](std::string line) { return line.replace(54, 6, "      "); };
  const std::string first = pdb_line(" N", ' ', "SER", 1, 0, 1, "N"),
                    second = pdb_line(" CA", ' ', "SER", 1, 1, 0, "C"),
                    third = pdb_line(" C", ' ', "SER", 1, 2, 0.5, "C");
  using Atoms = std::vector<std::pair<int, double>>;
  EXPECT_EQ(read_atoms(blank(first) + second + blank(third)), (Atoms{{7, 0}, {6, 2}}));
  EXPECT_EQ(read_atoms(blank(first) + blank(second) + third), (Atoms{{7, 0}, {6, 1}, {6, 2}}));
  // Lines that end with the column, or in it.
  for (const std::size_t length : {54u, 55u, 57u, 58u, 59u, 60u})
    for (const char* end : {"\n", "\r\n"})
      EXPECT_EQ(read_atoms(blank(first).substr(0, length) + end + third).size(), 2u) << length;
  const TemporaryFolder folder;
  const std::string path = folder / "density.pdb";
  std::ofstream(path) << first + second + blank(third) + "END\n";
  EXPECT_EQ(read_structure(path).without_occupancy, 1u);
}

TEST(Density, NumbersAndNamesThatRepeatLoseNoAtom) {
  using Atoms = std::vector<std::pair<int, double>>;
  const std::string first = pdb_line(" N", ' ', "SER", 1, 0, 1, "N");
  // Insertion codes that were lost, as in thrombin's loop of residue 60; a ligand with a residue's number.
  EXPECT_EQ(read_atoms(first + pdb_line(" CA", ' ', "LEU", 60, 1, 1, "C") + pdb_line(" CA", ' ', "TYR", 60, 2, 1, "C") +
                       pdb_line(" CA", ' ', "LEU", 60, 3, 1, "C") + pdb_line(" P", ' ', "PLP", 60, 4, 1, "P")),
            (Atoms{{7, 0}, {6, 1}, {6, 3}, {6, 2}, {15, 4}}));
  // Two copies in one chain, some residues with alternatives.
  const auto copy = [](double x) {
    return pdb_line(" CA", ' ', "SER", 2, x, 1, "C") + pdb_line(" CA", 'A', "THR", 3, x + 1, 0.4, "C") +
           pdb_line(" CA", 'B', "ALA", 3, x + 2, 0.6, "C");
  };
  EXPECT_EQ(read_atoms(first + copy(10) + pdb_line(" CA", ' ', "SER", 2, 20, 1, "C")),
            (Atoms{{7, 0}, {6, 10}, {6, 20}, {6, 12}}));
}

TEST(Density, AtomsOfNoElementAreRefusedAndDeuteriumIsHydrogen) {
  const std::string first = pdb_line(" N", ' ', "SER", 1, 0, 1, "N");
  try {
    read_atoms(first + pdb_line("UNK", ' ', "UNX", 2, 1, 1, "X"));
    FAIL() << "accepted";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("element X"), std::string::npos) << e.what();
  }
  EXPECT_THROW(read_atoms(pdb_line(" N", ' ', "SER", 1, 0, 0, "N")), InputError) << "nothing is left";
  const auto atoms = read_atoms(first + pdb_line(" D", ' ', "SER", 1, 1, 1, "D"), true);
  ASSERT_EQ(atoms.size(), 2u);
  EXPECT_EQ(atoms[1].first, 1) << "the height that pdb2mrc gives it";
}

}  // namespace
}  // namespace cryored
