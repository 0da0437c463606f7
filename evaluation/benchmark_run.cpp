#include "evaluation/benchmark_run.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/folder_lock.hpp"
#include "core/base/sha256.hpp"
#include "core/formats/mrc.hpp"
#include "evaluation/cell.hpp"
#include "evaluation/compressed_map.hpp"
#include "evaluation/raw_maps.hpp"
#include "simulation/data_set.hpp"

namespace fs = std::filesystem;

namespace cryored {
namespace {

using Clock = std::chrono::steady_clock;

std::string key_of(const BenchmarkCell& cell, const BenchmarkSetup& setup) {
  const auto weights = weights_of(cell, setup);
  return weights ? weights->identity.key(cell.mode) : "";
}

fs::path cell_folder(const BenchmarkCell& cell, const BenchmarkSetup& setup) {
  const fs::path data_set = fs::path(setup.cells) / cell.data_set();
  fs::path keyed = data_set / keyed_mode(cell.mode, key_of(cell, setup));
  const auto weights = weights_of(cell, setup);
  // One that cryored evaluate refine made, with the same weights.
  if (weights && weights->path.empty() && !fs::exists(keyed) &&
      weights_in_records((data_set / cell.mode).string()) == std::set<std::string>{weights->identity.sha256})
    return data_set / cell.mode;
  return keyed;
}

std::string structure_of(const BenchmarkCell& cell, const BenchmarkSetup& setup) {
  const auto found = setup.structures.find(cell.structure);
  return found == setup.structures.end() ? "" : found->second;
}

/// None where an older version scored what cannot be scored again (rescore()).
std::optional<CellRecord> record_of(const BenchmarkCell& cell, const BenchmarkSetup& setup) {
  std::optional<CellRecord> record = read_record(setup.results, cell.data_set(), cell.mode, key_of(cell, setup));
  if (record) {
    require_same_data(*record, cell, structure_of(cell, setup));
    require_same_options(*record, cell, setup.relion_options);
  }
  if (record && record->score.final_map.fsc.empty() && record->map_scale <= 0) record.reset();
  return record;
}

std::optional<CellRecord> plain_record(const BenchmarkCell& cell, const BenchmarkSetup& setup) {
  std::optional<CellRecord> plain = read_record(setup.results, cell.data_set(), "plain", "");
  if (plain) {
    require_same_data(*plain, cell, structure_of(cell, setup));
    require_same_options(*plain, cell, setup.relion_options);  // its stop rule is the cell's
  }
  return plain;
}

DataSet prepared(const BenchmarkCell& cell, const BenchmarkSetup& setup, const std::function<void(int)>& simulated) {
  const std::string structure = structure_of(cell, setup);
  if (structure.empty())
    throw InputError({"structure " + cell.structure, "", "no file", "a PDB or mmCIF file named after it",
                      "put it into the folder of --structures"});
  DataSet data;
  data.name = cell.data_set();
  data.structure = structure;
  data.options = cell.particles;
  const fs::path folder = fs::path(setup.cells) / cell.data_set();
  data.folder = (folder / "particles").string();
  const FolderLock lock(folder.string(), true);
  prepare_data_set(data, simulated);
  return data;
}

/// Maps of known orientations: all particles, and the halves for their FSC.
RefinementScore score_known_angles(const DataSet& data, const Truth& truth, const fs::path& folder, Map& final_map) {
  fs::create_directories(folder);
  const std::string star = (fs::path(data.folder) / "particles_truth.star").string();
  const auto reconstruct = [&](const char* name, int subset) {
    return reconstruct_with_angles(star, (folder / name).string(), data.options.ctf.on, subset);
  };
  final_map = reconstruct("all.mrc", 0);
  RefinementScore score;
  score.box = truth.map.nx;
  score.pixel_size = truth.pixel_size;
  score.final_kind = "relion_reconstruct with the true orientations";
  score.final_map = score_map(final_map, truth, kAnglesPadding);
  score.raw = score.angles_found = score.final_map;
  score.final_half_fsc = fsc_without_mask(reconstruct("half1.mrc", 1), reconstruct("half2.mrc", 2), kAnglesPadding);
  score.final_half_map_resolution = resolution_at(score.final_half_fsc, 0.143, score.box, score.pixel_size);
  score.angle_share_within_10 = 1;
  score.angle_histogram = share_per_2_degrees({0});
  return score;
}

/// Version and commit of the cryored that reconstructed, from its first record in the folder.
void note_program(const std::string& folder, CellRecord& record) {
  for (const RelionIteration& it : finished_iterations(folder)) {
    std::ifstream file(it.record(1));
    if (!file) continue;
    const auto json = nlohmann::json::parse(file, nullptr, false);
    if (json.is_discarded() || !json.contains("program")) continue;
    record.program_version = json["program"].value("version", record.program_version);
    record.program_commit = json["program"].value("commit", record.program_commit);
    return;
  }
}

}  // namespace

std::string describe(CellState state) {
  switch (state) {
    case CellState::done:
      return "done";
    case CellState::running:
      return "running";
    case CellState::started:
      return "started";
    case CellState::open:
      return "open";
    case CellState::waits:
      return "waits for plain";
    case CellState::needs_weights:
      return "needs weights";
    case CellState::needs_structure:
      return "needs its structure";
    case CellState::refused:
      return "refused";
  }
  return "unknown";
}

std::optional<BenchmarkWeights> weights_of(const BenchmarkCell& cell, const BenchmarkSetup& setup) {
  const ModeParts parts = mode_parts(cell.mode);
  if (!parts.denoises) return {};
  if (parts.label.empty()) return setup.weights(cell.particles.pixel_size);
  const auto found = setup.labelled.find(cell.mode);
  if (found == setup.labelled.end())
    throw UsageError(
        {"mode " + cell.mode, "weights", "none", "a weights file", "give --weights-mode " + cell.mode + "=FILE"});
  return found->second;
}

CellStanding standing(const BenchmarkCell& cell, const BenchmarkSetup& setup, const std::vector<CellRecord>& records) {
  CellStanding s;
  const ModeParts parts = mode_parts(cell.mode);
  if (parts.denoises && !parts.label.empty() && !setup.labelled.contains(cell.mode)) {
    s.state = CellState::needs_weights;
    return s;
  }
  const fs::path folder = cell_folder(cell, setup);
  const bool after_plain = cell.mode != "plain" && cell.mode != "known-angles";
  bool has_plain = false;
  try {
    if (const auto record = record_of(cell, setup)) {
      s.state = CellState::done;
      s.seconds = record->seconds;
      return s;
    }
    has_plain = after_plain && plain_record(cell, setup);
  } catch (const Error& e) {
    s.state = CellState::refused;
    s.fault = e.what();
    return s;
  }
  const std::optional<double> guess = time_guess(cell, records);
  if (fs::exists(folder)) s.seconds = parts.refines ? read_timeline(folder.string()).total_seconds : 0;
  if (guess) s.left = std::max(0.1 * *guess, *guess - s.seconds);
  if (fs::exists(folder / ".lock") && !FolderLock(folder.string(), false).held())
    s.state = CellState::running;
  else if (!setup.structures.contains(cell.structure))
    s.state = CellState::needs_structure;
  else if (s.seconds > 0)
    s.state = CellState::started;
  else if (after_plain && !has_plain)
    s.state = CellState::waits;
  return s;
}

std::optional<double> time_guess(const BenchmarkCell& cell, const std::vector<CellRecord>& records) {
  const bool refines = mode_parts(cell.mode).refines;
  const auto scale = [&](const CellRecord& r) {
    const double count = nlohmann::json::parse(r.particles).value("count", 0.0);
    return count > 0 ? cell.particles.count / count : 1.0;
  };
  const auto same_amount = [&](const CellRecord& r) {
    return r.factor == cell.particles.factor && (r.factor > 0 || r.requested_snr() == cell.particles.snr);
  };
  using Likeness = std::function<bool(const CellRecord&)>;
  const Likeness likenesses[] = {
      [&](const CellRecord& r) { return r.mode == cell.mode && r.structure == cell.structure && same_amount(r); },
      [&](const CellRecord& r) { return r.structure == cell.structure && same_amount(r); },
      [&](const CellRecord& r) { return r.mode == cell.mode && same_amount(r); },
      [&](const CellRecord& r) { return r.mode == cell.mode; }, [&](const CellRecord&) { return true; }};
  for (const Likeness& alike : likenesses) {
    double sum = 0;
    int count = 0;
    for (const CellRecord& r : records)
      if (r.score.box == cell.particles.box && mode_parts(r.mode).refines == refines && alike(r))
        sum += r.seconds * scale(r), ++count;
    if (count > 0) return sum / count;
  }
  return {};
}

std::optional<CellRecord> run_benchmark_cell(const BenchmarkCell& cell, const StopRule& rule,
                                             const BenchmarkSetup& setup,
                                             const std::function<void(const RunProgress&)>& report,
                                             const std::function<void(int)>& simulated,
                                             const std::function<bool()>& cancelled) {
  const ModeParts parts = mode_parts(cell.mode);
  const std::optional<BenchmarkWeights> weights = weights_of(cell, setup);
  const fs::path folder = cell_folder(cell, setup);
  const FolderLock lock(folder.string(), false);
  if (!lock.held()) return {};
  const DataSet data = prepared(cell, setup, simulated);
  const Truth truth = read_truth(data.folder);
  const auto start = Clock::now();

  CellRecord record;
  record.data_set = cell.data_set();
  record.structure = cell.structure;
  record.mode = cell.mode;
  record.group = cell.group;
  record.large = cell.large;
  record.particles = particle_options_json(cell.particles);
  record.structure_sha256 = sha256_file(data.structure);
  record.snr = data.snr;
  record.factor = cell.particles.factor;
  record.seed = cell.particles.seed;
  if (weights) record.weights = weights->identity;
  record.program_version = setup.version;
  record.program_commit = setup.commit;

  std::optional<CellRecord> plain;
  if (cell.mode != "plain" && cell.mode != "known-angles") {
    plain = plain_record(cell, setup);
    if (!plain)
      throw UsageError({cell.name(), "plain refinement", "not finished",
                        "finished, since the stop rule is read from it",
                        "run cell " + cell.data_set() + "/plain first"});
  }

  Map final_map;
  if (cell.mode == "known-angles") {
    record.score = score_known_angles(data, truth, folder, final_map);
    record.end = "reconstructed";
    record.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } else if (cell.mode == "plain+denoise") {
    record.relion_version = plain->relion_version;
    record.relion_sha256 = plain->relion_sha256;
    record.score = plain->score;
    record.score.iterations.clear();
    record.score.raw.reset();
    record.score.final_kind = "one pass of the network over the final map of plain";
    final_map =
        setup.denoise(read_compressed_map(plain->map_path()), truth.pixel_size, plain->score.final_half_map_resolution);
    record.score.final_map = score_map(final_map, truth, cell.relion.padding);
    record.end = "denoised";
    record.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } else {
    Cell refinement;
    refinement.name = cell.mode;
    refinement.folder = folder.string();
    refinement.relion = cell.relion;
    refinement.relion.extra = setup.relion_options;
    refinement.mode = refine_mode(
        parts.base, setup.program,
        weights && !weights->path.empty() ? "--weights " + shell_word(fs::absolute(weights->path).string()) : "");
    refinement.mode.name = cell.mode;
    if (weights) refinement.weights = {weights->identity.key(cell.mode), weights->files};
    if (plain) {
      int iterations = 0;
      for (const IterationScore& it : plain->score.iterations) iterations = it.iteration;
      RunEnd end = RunEnd::time_limit;
      if (plain->end == describe(RunEnd::converged)) end = RunEnd::converged;
      refinement.relion.max_iterations = iteration_limit(rule, end, iterations);
    } else {
      refinement.relion.max_seconds = rule.plain_seconds;
      refinement.relion.max_iterations = rule.most_iterations;
      refinement.hopeless = rule.hopeless;
      refinement.hopeless_from = rule.from_iteration;
    }
    CellResult result = run_cell(refinement, data, truth, report, cancelled);
    if (result.end == RunEnd::cancelled) return {};
    record.score = std::move(result.score);
    record.end = describe(result.end);
    record.seconds = result.timeline.total_seconds;
    record.cpu_seconds = result.timeline.cpu_seconds;
    record.relion_version = result.relion_version;
    record.relion_sha256 = result.relion.sha256;
    record.command = result.relion.command;
    record.external = without_folders(refinement.mode.external);
    note_program(refinement.folder, record);
    const std::vector<std::string>& maps = record.score.final_maps;
    final_map = maps.size() == 2 ? mean_of(read_mrc(maps[0]), read_mrc(maps[1])) : read_mrc(maps.at(0));
    const auto joined = joined_result(refinement.folder);
    const std::string found = joined ? *joined + "_data.star" : finished_iterations(refinement.folder).back().data();
    const Map of_angles = reconstruct_with_angles(found, (folder / "angles_found.mrc").string(), data.options.ctf.on);
    record.score.angles_found = score_map(of_angles, truth, kAnglesPadding);
  }
  const std::string known_truth = truth_path(setup.results, cell.structure, cell.particles);
  if (!fs::exists(known_truth)) {
    fs::create_directories(fs::path(known_truth).parent_path());
    write_compressed_map(known_truth, truth.map, truth.pixel_size);
  }
  // The map of known orientations is for its curve only: unfiltered, it would be the largest file by far.
  const bool keep = cell.mode != "known-angles";
  record.path = write_record(setup.results, record, keep ? &final_map : nullptr);
  return record;
}

}  // namespace cryored
