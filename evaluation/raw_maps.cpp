#include "evaluation/raw_maps.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/reconstruct/red.hpp"
#include "core/reconstruct/request.hpp"
#include "evaluation/program.hpp"
#include "evaluation/relion_files.hpp"
#include "evaluation/score.hpp"

namespace fs = std::filesystem;

namespace cryored {
Map joined_raw(const std::string& star_half1, const std::string& star_half2) {
  ReconstructRequest first = read_request_beside(star_half1);
  const ReconstructRequest second = read_request_beside(star_half2);
  if (first.box != second.box || first.padding != second.padding || first.dimensionality != second.dimensionality)
    throw InputError({star_half2, "rlnOriginalImageSize, rlnPaddingFactor, rlnReferenceDimensionality",
                      "others than in " + star_half1, "the same in both halves", "give both halves of one iteration"});
  first.current_size = std::min(first.current_size, second.current_size);
  const RequestArrays a = open_arrays(first), b = open_arrays(second);
  const TemporaryFolder folder;
  const auto summed = [&folder](const MrcFile& one, const MrcFile& other, const char* name) {
    Map sum = one.read();
    add(sum, other.read());
    std::string path = (folder.path() / name).string();
    write_mrc(path, sum, 0);
    return path;
  };
  first.data_real = summed(a.real, b.real, "real.mrc");
  first.data_imag = summed(a.imag, b.imag, "imag.mrc");
  first.weight = summed(a.weight, b.weight, "weight.mrc");
  const RequestArrays arrays = open_arrays(first);
  return unregularised_map(first, arrays);
}

std::optional<Map> joined_raw(const std::string& folder) {
  const std::vector<RelionIteration> iterations = finished_iterations(folder);
  // The joined result's own last iteration has half-maps of all data up to Nyquist, and no optimiser file.
  if (const auto joined = joined_result(folder)) {
    const std::string half1 = *joined + "_half1_class001_unfil.mrc", half2 = *joined + "_half2_class001_unfil.mrc";
    if (fs::exists(half1) && fs::exists(half2)) return mean_of(read_mrc(half1), read_mrc(half2));
  }
  if (iterations.empty()) return {};
  std::vector<std::string> stars;
  for (const char* half : {"1", "2"}) {
    stars.push_back(iterations.back().root + "_half" + half + "_class001_external_reconstruct.star");
    if (!fs::exists(stars.back())) return {};
    const ReconstructRequest request = read_request_beside(stars.back());
    for (const std::string& array : {request.data_real, request.data_imag, request.weight})
      if (!fs::exists(array)) return {};
  }
  return joined_raw(stars[0], stars[1]);
}

bool run_relion_reconstruct(const std::string& star, const std::string& output, bool ctf, int subset,
                            const std::function<bool()>& cancelled) {
  const fs::path out = fs::absolute(output);
  std::vector<std::string> words = {"relion_reconstruct", "--i",   fs::absolute(star).string(),   "--o",
                                    out.string(),         "--pad", std::to_string(kAnglesPadding)};
  if (ctf) words.push_back("--ctf");
  if (subset > 0) words.insert(words.end(), {"--subset", std::to_string(subset)});
  const std::string log = out.string() + ".log";
  if (!run_program(words, out.parent_path().string(), log, {}, cancelled)) return false;
  if (!fs::exists(out)) throw SystemError({log, "relion_reconstruct", "no " + out.string(), "a map", "see that log"});
  return true;
}

Map reconstruct_with_angles(const std::string& star, const std::string& output, bool ctf, int subset) {
  run_relion_reconstruct(star, output, ctf, subset, {});
  return read_mrc(output);
}

}  // namespace cryored
