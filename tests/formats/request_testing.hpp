#pragma once
// A request as RELION writes it, with its three arrays, in a folder of its own.

#include <string>

#include "core/formats/mrc.hpp"
#include "core/reconstruct/request.hpp"
#include "formats_testing.hpp"

namespace cryored::testing {

inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::runtime_error("'" + from + "' is not in the text");
  return text.replace(at, from.size(), to);
}

/// STAR text for box N; the labels and their order are those of RELION 3.1.3's writer
/// (compare refine3d/run_it003_half1_class001_external_reconstruct.star).
inline std::string request_text(const std::string& root, int box, double padding, int dimensionality) {
  std::ostringstream s;
  s << "\n# version 30001\n\ndata_external_reconstruct_general\n\n"
    << "_rlnExtReconsDataReal                  " << root << "_external_reconstruct_data_real.mrc\n"
    << "_rlnExtReconsDataImag                  " << root << "_external_reconstruct_data_imag.mrc\n"
    << "_rlnExtReconsWeight                    " << root << "_external_reconstruct_weight.mrc\n"
    << "_rlnExtReconsResult                    " << root << "_external_reconstruct.mrc\n"
    << "_rlnExtReconsResultStarfile            " << root << "_external_reconstruct_out.star\n"
    << "_rlnTau2FudgeFactor                        1.000000\n"
    << "_rlnPaddingFactor                          " << padding << "\n"
    << "_rlnReferenceDimensionality                       " << dimensionality << "\n"
    << "_rlnOriginalImageSize                            " << box << "\n"
    << "_rlnCurrentImageSize                             " << box << "\n \n\n# version 30001\n\n"
    << "data_external_reconstruct_tau2\n\nloop_ \n_rlnSpectralIndex #1 \n_rlnReferenceTau2 #2 \n"
    << "_rlnGoldStandardFsc #3 \n";
  for (int shell = 0; shell <= box / 2; ++shell) s << "           " << shell << "     0.25     0.500000 \n";
  s << " \n";
  return s.str();
}

struct Case {
  TempFolder folder;
  std::string root, star;
  int padded;
  std::size_t depth;

  explicit Case(int box = 8, double padding = 2, int dimensionality = 3,
                const std::string& name = "run_it002_half1_class001")
      : root(folder / name), star(root + "_external_reconstruct.star") {
    padded = static_cast<int>(padding * box + 0.5);
    depth = dimensionality == 3 ? static_cast<std::size_t>(padded) : 1;
    write_bytes(star, request_text(root, box, padding, dimensionality));
    for (const char* part : {"data_real", "data_imag", "weight"}) write_array(part, array());
  }
  Map array() const {
    const auto p = static_cast<std::size_t>(padded);
    Map map(p / 2 + 1, p, depth);
    for (std::size_t i = 0; i < map.size(); ++i) map.data[i] = 0.5f + static_cast<float>(i % 17);
    return map;
  }
  std::string array_path(const std::string& part) const { return root + "_external_reconstruct_" + part + ".mrc"; }
  void write_array(const std::string& part, const Map& map) const { write_mrc(array_path(part), map, 0); }
  void edit(const std::string& from, const std::string& to) const {
    write_bytes(star, replaced(read_bytes(star), from, to));
  }
};

}  // namespace cryored::testing
