#include "training/relion_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/filter.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/red.hpp"

namespace cryored {
namespace fs = std::filesystem;
namespace {

/// The map's transform without coefficients at or beyond shell `cut`.
HalfTransform cut_transform(const Map& map, int cut) {
  HalfTransform t = forward(map);
  filter(t, [cut](double k) { return k < cut ? 1 : 0; });
  return t;
}

/// a of the least-squares fit a * from = to over the shells 1 .. last.
double fitted_scale(const HalfTransform& from, const HalfTransform& to, double last) {
  double cross = 0, power = 0;
  for (std::size_t z = 0; z < from.nz; ++z)
    for (std::size_t y = 0; y < from.ny; ++y)
      for (std::size_t x = 0; x < from.nx; ++x) {
        const double r = std::hypot(static_cast<double>(x), static_cast<double>(signed_frequency(y, from.ny)),
                                    static_cast<double>(signed_frequency(z, from.nz)));
        if (r < 0.5 || r > last) continue;
        const std::complex<double> a(from(x, y, z)), b(to(x, y, z));
        cross += (std::conj(a) * b).real();
        power += std::norm(a);
      }
  return power > 0 ? cross / power : 0;
}

/// The <ID> of the folder of a data set. An ID may hold underscores (AF-P00019-F1-model_v4): what cryored evaluate
/// writes goes on with "_box". In other names the first underscore ends it.
std::string structure_of(const std::string& data_set) {
  const std::size_t box = data_set.rfind("_box");
  return data_set.substr(0, box != std::string::npos ? box : data_set.find('_'));
}

bool has_arrays(const std::string& star) {
  const ReconstructRequest request = read_request_beside(star);
  return fs::exists(request.data_real) && fs::exists(request.data_imag) && fs::exists(request.weight);
}

}  // namespace

std::vector<FinishedRefinement> finished_refinements(const std::string& folder) {
  std::vector<FinishedRefinement> jobs;
  if (fs::is_directory(folder))
    for (const auto& data_set : fs::directory_iterator(folder)) {
      const fs::path truth = data_set.path() / "particles" / "truth.mrc";
      if (!fs::exists(truth)) continue;
      for (const auto& mode : fs::directory_iterator(data_set.path())) {
        if (!mode.is_directory()) continue;
        FinishedRefinement job;
        job.name = data_set.path().filename().string() + "_" + mode.path().filename().string();
        job.structure_id = structure_of(data_set.path().filename().string());
        job.truth = truth.string();
        for (const auto& file : fs::directory_iterator(mode.path())) {
          const std::string name = file.path().filename().string();
          // The result is there once RELION's iteration went on; the arrays may have been cleaned up since.
          if (name.find("_half") == std::string::npos || !name.ends_with("_external_reconstruct.star") ||
              !fs::exists(fs::path(file.path()).replace_extension(".mrc")))
            continue;
          if (has_arrays(file.path().string()))
            job.stars.push_back(file.path().string());
          else
            ++job.without_arrays;
        }
        std::sort(job.stars.begin(), job.stars.end());
        if (!job.stars.empty() || job.without_arrays > 0) jobs.push_back(std::move(job));
      }
    }
  if (std::none_of(jobs.begin(), jobs.end(), [](const FinishedRefinement& job) { return !job.stars.empty(); }))
    throw InputError(Problem{folder, "refinements", jobs.empty() ? "none" : "none that has its arrays still",
                             "<ID>_box<N>_.../<mode>/run_it*_external_reconstruct.star with its arrays, beside "
                             "particles/truth.mrc",
                             "make them with cryored evaluate refine --modes gaussian, without --cleanup"});
  std::sort(jobs.begin(), jobs.end(),
            [](const FinishedRefinement& a, const FinishedRefinement& b) { return a.name < b.name; });
  return jobs;
}

TrainingPair pair_of(const Map& map, const Map& truth, int cut, double voxel, const std::string& where) {
  TrainingPair pair;
  pair.voxel = voxel;
  pair.cut = cut;
  const HalfTransform input = cut_transform(map, cut);
  HalfTransform target = cut_transform(truth, cut);
  const double scale = fitted_scale(target, input, static_cast<double>(map.nx) * voxel / 30);
  if (!(scale > 0))
    throw InputError(Problem{where, "half-map", "no likeness to the truth beyond 30 A", "a refinement that works",
                             "leave this refinement out"});
  for (auto& value : target.data) value *= static_cast<float>(scale);
  pair.input = inverse(input, map.nx);
  pair.target = inverse(target, map.nx);
  return pair;
}

std::vector<TrainingPair> relion_pairs(const FinishedRefinement& job, const PairOptions& options) {
  MrcHeader header;
  const Map truth = read_mrc(job.truth, &header);
  if (truth.nx != options.box || std::abs(header.pixel_size - options.voxel) > 1e-3 * options.voxel)
    throw InputError(Problem{job.truth, "box and pixel size",
                             std::to_string(truth.nx) + ", " + std::to_string(header.pixel_size) + " A",
                             std::to_string(options.box) + ", " + std::to_string(options.voxel) + " A",
                             "give the --box and --voxel of the refinements"});
  std::vector<TrainingPair> pairs;
  for (const auto& star : job.stars) {
    const ReconstructRequest request = read_request_beside(star);
    const RequestArrays arrays = open_arrays(request);
    const Map map = as_seen(request, unregularised_map(request, arrays));
    TrainingPair pair = pair_of(map, truth, cut_shell(request), options.voxel, star);
    pair.nominal_resolution = resolution_figures(request.fsc, pair.cut, request.box, options.voxel).nominal.value_or(0);
    pair.half_fsc.assign(request.fsc.begin(), request.fsc.end());
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

}  // namespace cryored
