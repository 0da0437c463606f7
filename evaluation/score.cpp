#include "evaluation/score.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/pipeline.hpp"
#include "evaluation/raw_maps.hpp"
#include "evaluation/relion_run.hpp"
#include "simulation/particles.hpp"
#include "simulation/truth_mask.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

Map product(const Map& a, const Map& b) {
  Map out(a.nx, a.ny, a.nz);
  for (std::size_t i = 0; i < out.size(); ++i) out.data[i] = a.data[i] * b.data[i];
  return out;
}

ReconstructionNote read_note(const std::string& path) {
  ReconstructionNote note;
  std::ifstream file(path);
  if (!file) return note;
  const auto record = nlohmann::json::parse(file, nullptr, false);
  if (record.is_discarded() || record.value("schema", "") != "cryored-record")
    throw InputError(
        {path, "schema", "no record of cryored", "cryored-record", "remove the file or run the iteration again"});
  const auto number = [&record](const char* pointer) -> std::optional<double> {
    const nlohmann::json::json_pointer p(pointer);
    if (!record.contains(p) || !record[p].is_number()) return {};
    return record[p].get<double>();
  };
  note.lambda = number("/denoiser/lambda");
  note.resolution = number("/resolution/nominal_A");
  note.seconds = number("/timings_s/total");
  note.kept_noise = number("/denoiser/kept_noise");
  const nlohmann::json::json_pointer created("/denoiser/guard/created");
  if (record.contains(created)) {
    note.created = record[created].get<std::vector<double>>();
    note.bound = number("/denoiser/guard/bound");
  }
  return note;
}

}  // namespace

double resolution_at(const std::vector<double>& curve, double threshold, std::size_t box, double pixel_size) {
  return shell_resolution(crossing_shell(curve, threshold), box, pixel_size);
}

const MapScore* judged(const RefinementScore& score, bool denoises, bool converged) {
  if (!denoises || converged) return &score.final_map;
  return score.raw && !score.raw->fsc.empty() ? &*score.raw : nullptr;
}

const MapScore* denoised(const RefinementScore& score, bool denoises, bool converged) {
  if (score.denoised) return &*score.denoised;
  return denoises && !converged ? &score.final_map : nullptr;  // RELION's own joined map is the Gaussian one
}

Map mean_of(const Map& a, const Map& b) {
  Map out(a.nx, a.ny, a.nz);
  for (std::size_t i = 0; i < out.size(); ++i) out.data[i] = 0.5f * (a.data[i] + b.data[i]);
  return out;
}

Truth read_truth(const std::string& folder) {
  Truth truth;
  MrcHeader header;
  const std::string path = (fs::path(folder) / "truth.mrc").string();
  truth.map = read_mrc(path, &header);
  truth.pixel_size = header.pixel_size;
  if (!(truth.pixel_size > 0))
    throw InputError(
        {path, "pixel size", std::to_string(truth.pixel_size), "more than 0 A", "simulate the particles anew"});
  truth.mask = truth_mask(truth.map, truth.pixel_size);
  truth.poses = read_poses((fs::path(folder) / "particles_truth.star").string());
  truth.self_rotations = self_rotations(truth.map, truth.pixel_size, 12);
  return truth;
}

Truth other_hand(const Truth& truth) {
  Truth other = truth;
  other.map = mirrored(truth.map);
  other.mask = mirrored(truth.mask);
  for (Pose& pose : other.poses) pose.angles.tilt = -pose.angles.tilt;  // S turns a rotation about y around
  for (Rotation& r : other.self_rotations)
    for (const std::size_t i : {0u, 1u}) {
      r.m[i][2] = -r.m[i][2];
      r.m[2][i] = -r.m[2][i];
    }
  return other;
}

std::vector<double> fsc_without_mask(const Map& a, const Map& b, double padding) {
  Map a_undivided = a, b_undivided = b;
  undo_sinc_division(a_undivided, padding);
  undo_sinc_division(b_undivided, padding);
  return fsc(a_undivided, b_undivided);
}

MapScore score_map(const Map& map, const Truth& truth, double padding) {
  if (map.nx != truth.map.nx || map.ny != truth.map.ny || map.nz != truth.map.nz)
    throw InputError({"comparison with the truth", "map", std::to_string(map.nx) + " voxels",
                      std::to_string(truth.map.nx) + " voxels, as the truth", ""});
  MapScore score;
  score.fsc = fsc_without_mask(map, truth.map, padding);
  score.fsc_masked = fsc(product(map, truth.mask), product(truth.map, truth.mask));
  score.resolution = resolution_at(score.fsc, 0.5, map.nx, truth.pixel_size);
  score.resolution_masked = resolution_at(score.fsc_masked, 0.5, map.nx, truth.pixel_size);
  return score;
}

std::vector<double> share_per_2_degrees(const std::vector<double>& degrees) {
  std::vector<double> share(90, 0);
  for (const double e : degrees)
    share[static_cast<std::size_t>(std::clamp(e / 2, 0.0, 89.0))] += 1 / static_cast<double>(degrees.size());
  return share;
}

RefinementScore score_refinement(const std::string& folder, const Truth& truth) {
  const std::vector<RelionIteration> iterations = finished_iterations(folder);
  if (iterations.empty())
    throw InputError({folder, "", "no finished iteration", "one or more run_itNNN_optimiser.star with their files",
                      "run the refinement first"});
  const Timeline timeline = read_timeline(folder);
  RefinementScore score;
  score.box = truth.map.nx;
  score.pixel_size = truth.pixel_size;
  for (const RelionIteration& files : iterations) {
    IterationScore it;
    it.iteration = files.iteration;
    it.facts = read_facts(files.model(1), files.sampling());
    it.half_map_resolution = resolution_at(it.facts.half_fsc, 0.143, score.box, score.pixel_size);
    const Map half1 = read_mrc(files.map(1)), half2 = read_mrc(files.map(2));
    const double padding = it.facts.padding;
    it.halves = {score_map(half1, truth, padding), score_map(half2, truth, padding)};
    it.mean = score_map(mean_of(half1, half2), truth, padding);
    const PoseErrors errors = pose_errors(read_poses(files.data()), truth.poses, truth.self_rotations);
    it.angle_median = errors.median;
    it.angle_percentile90 = errors.percentile90;
    it.angle_share_within_10 = errors.share_within_10;
    it.global_rotation = angle_between(errors.global, Rotation{});
    for (const int half : {1, 2}) it.notes[static_cast<std::size_t>(half - 1)] = read_note(files.record(half));
    for (const Timeline::Entry& e : timeline.iterations)
      if (e.iteration == it.iteration) it.seconds = e.seconds;
    score.iterations.push_back(std::move(it));
  }

  const IterationScore& last = score.iterations.back();
  score.final_kind = "mean of the half-maps of iteration " + std::to_string(last.iteration);
  score.final_maps = {iterations.back().map(1), iterations.back().map(2)};
  score.final_map = last.mean;
  score.final_half_fsc = last.facts.half_fsc;
  std::string poses = iterations.back().data();
  if (const auto joined = joined_result(folder)) {
    score.final_kind = "joined map of the converged refinement";
    score.final_maps = {*joined + "_class001.mrc"};
    score.final_map = score_map(read_mrc(score.final_maps[0]), truth, last.facts.padding);
    const std::string sampling = *joined + "_sampling.star";
    score.final_half_fsc = read_facts(*joined + "_model.star", sampling).half_fsc;
    poses = *joined + "_data.star";
  }
  const PoseErrors errors = pose_errors(read_poses(poses), truth.poses, truth.self_rotations);
  score.angle_median = errors.median;
  score.angle_percentile90 = errors.percentile90;
  score.angle_share_within_10 = errors.share_within_10;
  score.angle_histogram = share_per_2_degrees(errors.degrees);
  if (const std::optional<Map> raw = joined_raw(folder)) score.raw = score_map(*raw, truth, last.facts.padding);
  if (const auto denoised = denoised_joined_map(folder))
    score.denoised = score_map(read_mrc(*denoised), truth, last.facts.padding);
  score.final_half_map_resolution = resolution_at(score.final_half_fsc, 0.143, score.box, score.pixel_size);
  return score;
}

}  // namespace cryored
