// cryored pairs: training pairs from structures, from refinements by RELION, or from experimental half-maps. Existing
// shards are kept, so a killed run goes on where it was.

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "simulation/structures.hpp"
#include "training/gaussian_pairs.hpp"
#include "training/half_map_pairs.hpp"
#include "training/known_angle_pairs.hpp"
#include "training/relion_pairs.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

/// One shard to be: where, of which structure, from what, and what makes its pairs; none where the structure is too
/// large.
struct Shard {
  fs::path path;
  std::string id, source;
  std::function<std::vector<TrainingPair>()> make;
  std::size_t without_arrays = 0;  ///< half-maps of a refinement that can give no pair any more
  std::size_t pairs = 0;           ///< how many it gets; 0: known only when made
};

/// A shard that is kept must be what would be made now. Throws InputError.
void hold_to_options(const Shard& shard, const PairOptions& options) {
  const PairShard kept(shard.path.string());
  const auto refuse = [&](const char* option, const std::string& found, const std::string& asked) {
    throw InputError(Problem{shard.path.string(), option, found, asked + ", as asked for",
                             "give the options of before, another --out, or remove the old shards"});
  };
  if (kept.box() != options.box) refuse("--box", std::to_string(kept.box()), std::to_string(options.box));
  // Shards of before 0.2 do not state their voxel size.
  if (kept.voxel() > 0 && std::abs(kept.voxel() - options.voxel) > 1e-5 * options.voxel)
    refuse("--voxel", fmt::format("{:.6g} A", kept.voxel()), fmt::format("{:.6g} A", options.voxel));
  if (shard.pairs > 0 && kept.size() != shard.pairs)
    refuse("--rounds", fmt::format("{} pairs", kept.size()), fmt::format("{} pairs", shard.pairs));
}

std::uint64_t seed_of(const std::string& id, int pass) {
  return name_hash(id) ^ (static_cast<std::uint64_t>(pass) * 0x9E3779B97F4A7C15ull);
}

/// half_map_files(), held to what lies in `out`: pairs under the name that an earlier version gave them would be there
/// twice, and perhaps on the other side of the split. Throws InputError.
std::vector<HalfMapFiles> half_maps_for(const std::string& folder, const fs::path& out) {
  std::vector<HalfMapFiles> all = half_map_files(folder);
  std::set<std::string> now;
  for (const HalfMapFiles& files : all) now.insert(files.shard);
  for (const HalfMapFiles& files : all)
    for (const std::string& name : {files.former, files.nested})
      if (const fs::path older = out / (name + ".pairs"); !now.contains(name) && fs::exists(older))
        throw InputError(Problem{older.string(), "name", "as earlier versions named the pairs of " + files.first,
                                 files.shard + ".pairs", "remove it, or give another --out"});
  return all;
}

std::vector<Shard> shards_of(const Settings& settings, const PairOptions& options) {
  const std::string& kind = settings.text("kind");
  const bool gaussian = kind == "gaussian";
  const fs::path out = settings.text("out");
  std::vector<Shard> shards;
  if (const std::string& folder = settings.text("half-maps"); !folder.empty())
    for (const HalfMapFiles& files : half_maps_for(folder, out / "half-maps"))
      shards.push_back({out / "half-maps" / (files.shard + ".pairs"), files.id, files.first,
                        [files, options] { return half_map_pairs(files, options); }});
  if (const std::string& folder = settings.text("refinements"); !folder.empty())
    for (const FinishedRefinement& job : finished_refinements(folder))
      shards.push_back({out / (gaussian ? job.name + "_gaussian-noise" : job.name) / (job.structure_id + ".pairs"),
                        job.structure_id, job.truth,
                        [job, options, gaussian] {
                          std::vector<TrainingPair> pairs = relion_pairs(job, options);
                          if (gaussian)
                            for (std::size_t i = 0; i < pairs.size(); ++i)
                              pairs[i] = gaussian_twin(pairs[i], seed_of(job.name, static_cast<int>(i)));
                          return pairs;
                        },
                        job.without_arrays});
  if (const std::string& folder = settings.text("structures"); !folder.empty()) {
    const int first = static_cast<int>(settings.integer("first-pass"));
    const std::vector<std::string> files = structure_files(folder);
    SpellingCheck spelling;
    for (int pass = first; pass < first + static_cast<int>(settings.integer("passes")); ++pass)
      for (const std::string& file : files) {
        const std::string id = structure_id(file);
        spelling.add(file);
        const std::string name = kind == "surrogate" ? "pass" : kind;
        shards.push_back({out / fmt::format("{}{:03d}", name, pass) / (id + ".pairs"), id, file,
                          [file, id, pass, options, kind]() -> std::vector<TrainingPair> {
                            const Structure structure = read_structure(file);
                            // A margin for the solvent that every real box has.
                            if (2 * structure.radius > 0.95 * static_cast<double>(options.box) * options.voxel)
                              return {};
                            const std::uint64_t seed = seed_of(id, pass);
                            if (kind == "known-angles") return known_angle_pairs(structure, {options}, seed);
                            return kind == "gaussian" ? gaussian_pairs(structure, options, seed)
                                                      : make_pairs(structure, options, seed);
                          },
                          0, 2 * static_cast<std::size_t>(options.rounds)});
      }
  }
  // The second of two would be taken for made already.
  std::map<fs::path, std::string> sources;
  for (const Shard& shard : shards)
    if (const auto [at, fresh] = sources.try_emplace(shard.path, shard.source); !fresh)
      throw InputError(Problem{shard.source, "name", "the shard " + shard.path.string() + ", as " + at->second,
                               "inputs whose names differ before the first '.', or before the number of the half",
                               "rename one, or make the pairs of each in an --out of its own"});
  return shards;
}

int run(const Settings& settings) {
  if (settings.text("out").empty())
    throw UsageError(Problem{"--out", "", "nothing", "a folder", "give it; see cryored pairs --help"});
  int sources = 0;
  for (const char* name : {"structures", "refinements", "half-maps"}) sources += settings.text(name).empty() ? 0 : 1;
  const std::string& kind = settings.text("kind");
  if (sources != 1)
    throw UsageError(Problem{"--structures, --refinements, --half-maps", "", sources == 0 ? "none" : "several",
                             "one of them", "give it; see cryored pairs --help"});
  if (kind != "surrogate" && !settings.text("half-maps").empty())
    throw UsageError(Problem{"--kind", "", kind + " with --half-maps", kind + " with a known truth",
                             kind == "gaussian" ? "give --structures or --refinements" : "give --structures"});
  if (kind == "known-angles" && !settings.text("refinements").empty())
    throw UsageError(Problem{"--kind", "", "known-angles with --refinements", "known-angles with --structures",
                             "leave --kind away for RELION's own errors"});
  const auto workers = static_cast<std::size_t>(settings.integer("workers")),
             worker = static_cast<std::size_t>(settings.integer("worker"));
  if (worker >= workers)
    throw UsageError(Problem{"--worker", "", std::to_string(worker), "0 to workers - 1", "see cryored pairs --help"});
  PairOptions options;
  options.box = static_cast<std::size_t>(even_box(settings));
  options.voxel = settings.number("voxel");
  options.rounds = static_cast<int>(settings.integer("rounds"));
  set_threads(1);  // workers are processes

  const std::vector<Shard> shards = shards_of(settings, options);
  ProgressLine line;
  const auto begin = std::chrono::steady_clock::now();
  std::size_t made = 0, pairs_made = 0, too_large = 0, there = 0, without_arrays = 0;
  for (std::size_t i = worker; i < shards.size(); i += workers) {
    const Shard& shard = shards[i];
    if (fs::exists(shard.path)) {
      hold_to_options(shard, options);
      ++there;
      continue;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::string left;
    if (made > 0)
      left = ", about " +
             duration(seconds / static_cast<double>(made) * static_cast<double>((shards.size() - i) / workers)) +
             " left";
    line.show("pairs", fmt::format("{} of {}, {}{}", i + 1, shards.size(), shard.id, left));
    const std::vector<TrainingPair> pairs = shard.make();
    without_arrays += shard.without_arrays;
    if (pairs.empty()) {
      if (shard.without_arrays == 0) ++too_large;
      continue;
    }
    fs::create_directories(shard.path.parent_path());
    write_pairs(shard.path.string(), pairs, shard.id);
    ++made;
    pairs_made += pairs.size();
  }
  line.finish();
  if (made + there == 0 && too_large > 0)
    throw InputError(Problem{settings.text("structures"), "structures",
                             std::to_string(too_large) + ", all too large for the box",
                             fmt::format("some within 0.95 x {:g} A", static_cast<double>(options.box) * options.voxel),
                             "give a larger --box or --voxel"});
  if (settings.flag("json"))
    std::cout << nlohmann::ordered_json({{"shards", made},
                                         {"pairs", pairs_made},
                                         {"there_already", there},
                                         {"too_large", too_large},
                                         {"without_arrays", without_arrays}})
                     .dump()
              << "\n";
  else
    std::cout << fmt::format(
        "{} shards with {} pairs written, {} there already, {} structures too large for the box{}\n", made, pairs_made,
        there, too_large,
        without_arrays == 0 ? ""
                            : fmt::format(", {} half-maps of refinements left out, whose arrays "
                                          "were removed (--cleanup)",
                                          without_arrays));
  return 0;
}

}  // namespace

Command pairs_command() {
  using enum OptionKind;
  Command command{"pairs", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored pairs";
  spec.summary = "Training pairs: half-maps with RELION's errors and their truth";
  spec.details =
      "One shard per structure and pass, OUT/passNNN/ID.pairs, from particles that are simulated and aligned as RELION "
      "does. With --refinements the half-maps are what RELION itself made, one shard per refinement; with --half-maps "
      "they are experimental, and each half is the other one's target. --kind known-angles reconstructs "
      "simulated particles with relion_reconstruct from their true orientations, disturbed by up to 8 degrees. "
      "--kind gaussian adds Gaussian noise to the truth "
      "instead, for comparison: of a reconstruction's spectrum, or of that of the refinements' errors. Shards that "
      "exist are kept, so a killed run goes on where it was; one of another box, voxel size or number of rounds is "
      "an error. See docs/training.md.";
  OptionSpec kind = tool_option("kind", choice, "KIND", "surrogate",
                                "errors of the input: surrogate (RELION's), known-angles, gaussian");
  kind.choices = {"surrogate", "known-angles", "gaussian"};
  spec.options = {
      tool_option("structures", path, "DIR", "", "PDB or mmCIF files, plain or .gz"),
      tool_option("refinements", path, "DIR", "",
                  "output folder of cryored evaluate refine with finished cells, instead of structures"),
      tool_option(
          "half-maps", path, "DIR", "",
          "MRC files ..._half_map_1.map and ..._half_map_2.map as EMDB keeps them (unpacked), instead of structures"),
      kind,
      tool_option("out", path, "DIR", "", "folder for the shards (required)"),
      tool_option("box", integer, "N", "48", 16, 256, "box in voxels, even"),
      tool_option("voxel", number, "A", "2.5", 0.5, 10, "voxel size in A"),
      tool_option("rounds", integer, "N", "3", 1, 20,
                  "rounds of expectation-maximisation, or reconstructions; two pairs each"),
      tool_option("first-pass", integer, "N", "0", 0, 999, "number of the first pass; it seeds the generator"),
      tool_option("passes", integer, "N", "1", 1, 999, "passes over all structures"),
      tool_option("workers", integer, "N", "1", 1, 1024, "processes that share the work"),
      tool_option("worker", integer, "I", "0", 0, 1023, "number of this process, from 0"),
      json_option("print JSON: how many shards and pairs"),
  };
  return command;
}

}  // namespace cryored
