#pragma once
// Files of a refinement as RELION leaves them, cut down to what makes them complete.

#include <filesystem>
#include <fstream>
#include <string>

#include "core/formats/mrc.hpp"

namespace cryored {

inline std::string star_text(const std::string& block) {
  return "\n# version 30001\n\ndata_" + block +
         "\n\nloop_ \n_rlnImageName #1 \n_rlnClassNumber #2 \n1@a.mrcs 1 \n2@a.mrcs 1 \n \n";
}

/// data.star, sampling.star, optimiser.star, model.star and map.mrc in `folder`, to be copied.
inline void write_job_files(const std::filesystem::path& folder) {
  for (const auto& [name, block] : {std::pair{"data", "particles"},
                                    {"sampling", "sampling_general"},
                                    {"optimiser", "optimiser_general"},
                                    {"model", "model_class_1"}})
    std::ofstream(folder / (std::string(name) + ".star")) << star_text(block);
  Map map(4, 4, 4);
  map.fill(1);
  write_mrc((folder / "map.mrc").string(), map, 2);
}

}  // namespace cryored
