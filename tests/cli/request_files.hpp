#pragma once
// Writes what RELION writes for --external_reconstruct, with code independent of the
// product's own readers and writers, so that the tests can break every part of it.

#include <map>
#include <string>
#include <vector>

namespace cryored_test {

struct RequestFiles {
  std::string folder;          ///< where the files are written
  std::string written_folder;  ///< how the STAR names that folder; empty: as `folder`
  std::string stem = "run_it004_half1_class001";
  int box = 32;
  int padding = 1;
  int current_size = 24;
  int dimensionality = 3;
  double pixel_size = 3;  ///< A; 0: not in the STAR, as RELION 3.1
  double particle_diameter = 60;
  double fsc_crossing = 8;                     ///< A: the half-map FSC falls through 0.143 there; 0: all zero (Class3D)
  std::map<std::string, std::string> general;  ///< replaces values of the general block; "" leaves the label out
  bool with_tau2 = true;

  int padded() const { return padding * box; }
  std::string file(const std::string& ending) const { return folder + "/" + stem + "_external_reconstruct" + ending; }
  std::string star() const { return file(".star"); }
  std::string result() const { return file(".mrc"); }
  std::string record() const { return file("_cryored.json"); }

  /// B = K G with G the transform of a blob of 12 A centred in the box; K falls off with |k|.
  void write() const;
  std::string star_text() const;
};

/// An MRC file, mode 2, little-endian; `data` may be shorter than the dimensions say.
void write_mrc_file(const std::string& path, int nx, int ny, int nz, const std::vector<float>& data, double pixel_size);
std::vector<float> read_mrc_data(const std::string& path);
/// Overwrites float number `index` of the data.
void patch_float(const std::string& path, long index, float value);
/// Overwrites 32-bit header word `word` (0-based).
void patch_header(const std::string& path, int word, int value);

}  // namespace cryored_test
