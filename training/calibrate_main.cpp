// cryored-calibrate: measures on held-out structures how far a denoiser is right in each shell, and stores the
// table of --confidence per-shell with its weights.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/run_program.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/output_path.hpp"
#include "core/fourier/fft.hpp"
#include "models/block_denoiser.hpp"
#include "models/weights_confidence.hpp"
#include "simulation/structures.hpp"
#include "training/calibration.hpp"
#include "training/guard_calibration.hpp"

namespace fs = std::filesystem;
using namespace cryored;

namespace {

CommandSpec command() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "cryored-calibrate";
  spec.arguments = "PAIRS...";
  spec.summary = "Measures a denoiser's confidence in each shell and stores it with its weights";
  spec.details =
      "PAIRS are folders of shards made by cryored pairs, searched with all below them. Only the validation structures "
      "count, which training has not seen; each of several folders has the same weight as a whole. The table serves "
      "cryored reconstruct --confidence per-shell; docs/red.md "
      "derives it. Printed: the error and the correlation to the truth of one iteration's map, averaged over shells of "
      "pairs, for several ways to choose lambda; tables are judged on structures that they were not made from.";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 100;
  spec.options = {
      tool_option("weights", path, "FILE", "", "weights file to calibrate (required)"),
      tool_option("out", path, "FILE", "", "where the weights with the table go; may be the same file (required)"),
      tool_option("most", integer, "N", "0", 0, 1e9, "pairs to use at most of each folder, spread evenly; 0: all"),
      tool_option("smoothness", number, "S", "1", 1e-3, 1e6,
                  "how strongly neighbouring nodes pull at each other, as many samples' worth"),
      tool_option(
          "prior-weight", number, "W", "1", 1, 1e6,
          "what tau^-2 is multiplied by in the shells that the denoiser adds to, stored with the table; 1: RELION's "
          "tau2 as it is"),
      tool_option(
          "guard-pairs", integer, "N", "0", 0, 1e9,
          "also measure what the guard's figure tells, on N pairs spread evenly over all, for several levels of "
          "the half-map FSC (docs/guard.md); nine passes of the denoiser a pair"),
      tool_option("samples", path, "FILE", "", "also write every shell of every pair, as JSON"),
      tool_option("json", flag, "", "no", "print JSON"),
      tool_option("threads", integer, "N", "0", 0, 1024, "CPU threads, 0: all"),
  };
  return spec;
}

struct PairPlace {
  std::size_t folder;
  std::string shard, structure;
  std::size_t record;
};

std::vector<PairPlace> held_out_pairs(const std::vector<std::string>& folders, long most) {
  std::vector<PairPlace> chosen;
  std::set<std::string> seen;  // a folder may lie in another
  for (std::size_t f = 0; f < folders.size(); ++f) {
    if (!fs::is_directory(folders[f]))
      throw InputError(Problem{folders[f], "PAIRS", "no folder", "a folder of shards", "make it with cryored pairs"});
    std::vector<std::string> shards;
    for (const auto& entry : fs::recursive_directory_iterator(folders[f]))
      if (entry.path().extension() == ".pairs" && is_validation(structure_id(entry.path().string())))
        shards.push_back(fs::canonical(entry.path()).string());
    std::sort(shards.begin(), shards.end());
    std::vector<PairPlace> pairs;
    for (const auto& shard : shards)
      if (seen.insert(shard).second)
        for (std::size_t i = 0; i < PairShard(shard).size(); ++i) pairs.push_back({f, shard, structure_id(shard), i});
    if (shards.empty())
      throw InputError(
          Problem{folders[f], "pairs", "none of a validation structure", "at least one",
                  "make more with cryored pairs, or leave the folder out: one structure in ten is kept for "
                  "validation"});
    const std::size_t count =
        most > 0 && static_cast<std::size_t>(most) < pairs.size() ? static_cast<std::size_t>(most) : pairs.size();
    for (std::size_t i = 0; i < count; ++i) chosen.push_back(pairs[i * pairs.size() / count]);
  }
  return chosen;
}

nlohmann::json mean_json(const ConfidenceScore::Mean& mean) {
  return {{"relative_error", mean.error}, {"correlation_to_truth", mean.correlation}, {"mean_lambda", mean.lambda}};
}

nlohmann::json score_json(const std::vector<ConfidenceScore>& scores) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& s : scores) {
    nlohmann::json by_folder = nlohmann::json::array();
    for (const auto& mean : s.by_source) by_folder.push_back(mean_json(mean));
    out.push_back({{"lambda_from", s.name}, {"all", mean_json(s.all)}, {"by_folder", by_folder}});
  }
  return out;
}

void write_samples(const std::string& path, const std::vector<ShellSample>& samples) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& s : samples)
    out.push_back({{"structure", s.structure},
                   {"folder", s.source},
                   {"frequency_per_A", s.frequency},
                   {"nominal_per_A", s.nominal},
                   {"half_map_fsc", s.half_fsc},
                   {"yy", s.yy},
                   {"ff", s.ff},
                   {"yf", s.yf},
                   {"yt", s.yt},
                   {"ft", s.ft}});
  write_text_atomically(path, json_text(out) + "\n");
}

/// What the guard's figure tells, for each level.
std::vector<GuardScore> measure_guard(const std::vector<PairPlace>& places, std::size_t count,
                                      BlockDenoiser& denoiser) {
  const std::vector<double> levels{0.5, 0.65, 0.8, 0.9};
  std::vector<std::vector<GuardSample>> samples(levels.size());
  const auto pass = [&](const Map& map) { return denoiser.denoise(map); };
  count = std::min(count, places.size());
  for (std::size_t i = 0; i < count; ++i) {
    const PairPlace& place = places[i * places.size() / count];
    const TrainingPair pair = PairShard(place.shard).read(place.record);
    const Map denoised = pass(pair.input);
    for (std::size_t l = 0; l < levels.size(); ++l)
      for (const auto& sample : guard_samples(pair, denoised, levels[l], pass)) samples[l].push_back(sample);
    if ((i + 1) % 10 == 0) std::cerr << fmt::format("guard: {} of {} pairs\n", i + 1, count);
  }
  std::vector<GuardScore> scores;
  for (std::size_t l = 0; l < levels.size(); ++l) scores.push_back(guard_score(levels[l], samples[l]));
  return scores;
}

void print_guard(const std::vector<GuardScore>& scores) {
  fmt::print("\nguard: wrong is a shell in which the output's FSC to the truth is below 0.5\n");
  fmt::print("{:>6} {:>7} {:>6} {:>14} {:>14} {:>11} {:>12} {:>7}\n", "level", "shells", "wrong", "created, right",
             "created, wrong", "separation", "5 % bound", "caught");
  for (const auto& s : scores)
    fmt::print("{:>6.2f} {:>7} {:>6} {:>14.3f} {:>14.3f} {:>11.3f} {:>12.3f} {:>7.3f}\n", s.level, s.shells, s.wrong,
               s.created_right, s.created_wrong, s.separation, s.bound, s.caught);
}

nlohmann::json guard_json(const std::vector<GuardScore>& scores) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& s : scores)
    out.push_back({{"level", s.level},
                   {"shells", s.shells},
                   {"wrong", s.wrong},
                   {"created_right", s.created_right},
                   {"created_wrong", s.created_wrong},
                   {"separation", s.separation},
                   {"bound_5_percent", s.bound},
                   {"caught", s.caught}});
  return out;
}

int run(const Settings& settings) {
  for (const char* required : {"weights", "out"})
    if (settings.text(required).empty())
      throw UsageError(Problem{std::string("--") + required, "", "nothing", "a weights file", "give it; see --help"});
  const std::string weights = settings.text("weights");
  if (!settings.text("samples").empty())
    refuse_same_output("--samples", settings.text("samples"), "--out", settings.text("out"));
  const auto places = held_out_pairs(settings.arguments, settings.integer("most"));
  std::vector<std::string> shards;
  shards.reserve(places.size());
  for (const auto& place : places) shards.push_back(place.shard);
  refuse_input_as_output(shards, settings.text("out"));
  if (!settings.text("samples").empty()) {
    refuse_input_as_output(shards, settings.text("samples"));
    refuse_input_as_output({weights}, settings.text("samples"));
  }
  DenoiserOptions options;
  options.device = "cpu";
  options.threads = static_cast<int>(settings.integer("threads"));
  if (options.threads > 0) set_threads(options.threads);
  const auto denoiser = make_denoiser(weights, options);
  const double voxel = denoiser->voxel_size();
  for (const auto& place : places)
    if (const double found = PairShard(place.shard).voxel(); found > 0 && std::abs(found - voxel) > 1e-3 * voxel)
      throw InputError(Problem{place.shard, "voxel size", fmt::format("{:g} A", found),
                               fmt::format("{:g} A, that of {}", voxel, weights), "give pairs of this voxel size"});

  const auto begin = std::chrono::steady_clock::now();
  std::vector<ShellSample> samples;
  std::set<std::string> structures;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const TrainingPair pair = PairShard(places[i].shard).read(places[i].record);
    for (auto& sample : shell_samples(places[i].structure, pair, denoiser->denoise(pair.input), voxel)) {
      sample.source = places[i].folder;
      samples.push_back(std::move(sample));
    }
    structures.insert(places[i].structure);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if ((i + 1) % 20 == 0)
      std::cerr << fmt::format("{} of {} pairs, {:.0f} s, about {:.0f} s left\n", i + 1, places.size(), seconds,
                               seconds / static_cast<double>(i + 1) * static_cast<double>(places.size() - i - 1));
  }
  balance_sources(samples);
  if (!settings.text("samples").empty()) write_samples(settings.text("samples"), samples);

  std::vector<const ShellSample*> all;
  all.reserve(samples.size());
  for (const auto& s : samples) all.push_back(&s);
  const ConfidenceTable table =
      fit_confidence(all, voxel, {}, settings.number("smoothness"), settings.number("prior-weight"));
  const auto scores =
      compare_confidence(samples, voxel, settings.number("smoothness"), settings.number("prior-weight"));
  nlohmann::json measured = {{"weights_sha256", denoiser->weights().sha256},
                             {"pairs", places.size()},
                             {"shells", samples.size()},
                             {"structures", std::vector<std::string>(structures.begin(), structures.end())},
                             {"scores", score_json(scores)},
                             {"smoothness", settings.number("smoothness")},
                             {"prior_weight", settings.number("prior-weight")}};
  std::vector<GuardScore> guard;
  if (settings.integer("guard-pairs") > 0) {
    guard = measure_guard(places, static_cast<std::size_t>(settings.integer("guard-pairs")), *denoiser);
    measured["guard"] = guard_json(guard);
  }
  const WeightsInfo written = save_confidence(weights, table, measured, settings.text("out"));
  if (settings.flag("json")) {
    const nlohmann::json out{{"weights", written.path}, {"sha256", written.sha256}, {"measured", measured}};
    std::cout << json_text(out, 1) << "\n";
    return 0;
  }
  fmt::print("{} shells of {} pairs of {} structures\n{:<46} {:>8} {:>12} {:>12}", samples.size(), places.size(),
             structures.size(), "lambda from", "error", "correlation", "mean lambda");
  const std::size_t folders = scores.front().by_source.size();
  for (std::size_t f = 0; folders > 1 && f < folders; ++f)
    fmt::print(" {:>16}", fmt::format("error, folder {}", f + 1));
  for (const auto& s : scores) {
    fmt::print("\n{:<46} {:>8.4f} {:>12.4f} {:>12.3f}", s.name, s.all.error, s.all.correlation, s.all.lambda);
    for (std::size_t f = 0; folders > 1 && f < folders; ++f) fmt::print(" {:>16.4f}", s.by_source[f].error);
  }
  fmt::print("\n");
  if (!guard.empty()) print_guard(guard);
  fmt::print("{}, sha256 {}\n", written.path, written.sha256);
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run_tool(command(), argc, argv, run); }
