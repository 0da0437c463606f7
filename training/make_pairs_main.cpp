// cryored-pairs: training pairs from a folder of structures, one shard per structure and
// pass. Existing shards are kept, so a killed run goes on where it was.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "training/pairs.hpp"
#include "training/relion_pairs.hpp"
#include "training/structures.hpp"

namespace fs = std::filesystem;
using namespace cryored;

namespace {

CommandSpec command() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "cryored-pairs";
  spec.summary = "Makes training pairs, half-maps with RELION's errors and their truth, from a folder of structures";
  spec.details =
      "One shard per structure and pass, OUT/passNNN/ID.pairs; shards that exist are kept, so a killed run goes on "
      "where it was. With --refinements the pairs come from what RELION itself made instead, one shard per refinement, "
      "OUT/<data set>_<mode>/ID.pairs. See docs/training.md.";
  spec.options = {
      tool_option("structures", path, "DIR", "", "PDB or mmCIF files, plain or .gz"),
      tool_option("refinements", path, "DIR", "",
                  "output folder of cryored-refine with finished cells, instead of structures"),
      tool_option("out", path, "DIR", "", "folder for the shards (required)"),
      tool_option("box", integer, "N", "48", 16, 256, "box in voxels, even"),
      tool_option("voxel", number, "A", "2.5", 0.5, 10, "voxel size in A"),
      tool_option("rounds", integer, "N", "3", 1, 20, "rounds of expectation-maximisation; two pairs each"),
      tool_option("first-pass", integer, "N", "0", 0, 999, "number of the first pass; it seeds the generator"),
      tool_option("passes", integer, "N", "1", 1, 999, "passes over all structures"),
      tool_option("workers", integer, "N", "1", 1, 1024, "processes that share the work"),
      tool_option("worker", integer, "I", "0", 0, 1023, "number of this process, from 0"),
  };
  return spec;
}

int pairs_of_refinements(const std::string& folder, const std::string& out, const PairOptions& options) {
  std::size_t made = 0;
  for (const FinishedRefinement& job : finished_refinements(folder)) {
    const fs::path shard = fs::path(out) / job.name / (job.structure_id + ".pairs");
    if (fs::exists(shard)) continue;
    fs::create_directories(shard.parent_path());
    const auto pairs = relion_pairs(job, options);
    write_pairs(shard.string(), pairs, job.structure_id);
    std::cerr << fmt::format("{}: {} pairs\n", job.name, pairs.size());
    ++made;
  }
  std::cerr << fmt::format("{} shards written\n", made);
  return 0;
}

int run(const Settings& settings) {
  const std::string structures = settings.text("structures"), out = settings.text("out"),
                    refinements = settings.text("refinements");
  if (out.empty()) throw UsageError(Problem{"--out", "", "nothing", "a folder", "give it; see --help"});
  if (structures.empty() == refinements.empty())
    throw UsageError(Problem{"--structures, --refinements", "", structures.empty() ? "neither" : "both", "one of them",
                             "give it; see --help"});
  PairOptions options;
  options.box = static_cast<std::size_t>(settings.integer("box"));
  options.voxel = settings.number("voxel");
  options.rounds = static_cast<int>(settings.integer("rounds"));
  if (!refinements.empty()) return pairs_of_refinements(refinements, out, options);
  const int first_pass = static_cast<int>(settings.integer("first-pass"));
  const int passes = static_cast<int>(settings.integer("passes"));
  const int workers = static_cast<int>(settings.integer("workers")),
            worker = static_cast<int>(settings.integer("worker"));
  if (worker >= workers)
    throw UsageError(Problem{"--worker", "", std::to_string(worker), "0 to workers - 1", "see --help"});
  set_threads(1);

  const auto files = structure_files(structures);
  const auto begin = std::chrono::steady_clock::now();
  std::size_t done = 0, made = 0, too_large = 0;
  const std::size_t total = files.size() * static_cast<std::size_t>(passes);
  for (int pass = first_pass; pass < first_pass + passes; ++pass) {
    const fs::path folder = fs::path(out) / fmt::format("pass{:03d}", pass);
    fs::create_directories(folder);
    for (std::size_t i = 0; i < files.size(); ++i, ++done) {
      if (static_cast<int>(i % static_cast<std::size_t>(workers)) != worker) continue;
      const std::string id = structure_id(files[i]);
      const fs::path shard = folder / (id + ".pairs");
      if (fs::exists(shard)) continue;
      const Structure structure = read_structure(files[i]);
      // A margin for the solvent that every real box has.
      if (2 * structure.radius > 0.95 * static_cast<double>(options.box) * options.voxel) {
        ++too_large;
        continue;
      }
      const std::uint64_t seed = name_hash(id) ^ (static_cast<std::uint64_t>(pass) * 0x9E3779B97F4A7C15ull);
      write_pairs(shard.string(), make_pairs(structure, options, seed), id);
      ++made;
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (made % 50 == 0)
        std::cerr << fmt::format("pass {} structure {}/{}: {} shards, {:.0f} s, about {:.0f} s left\n", pass, i + 1,
                                 files.size(), made, seconds,
                                 seconds / static_cast<double>(done + 1) * static_cast<double>(total - done));
    }
  }
  std::cerr << fmt::format("{} shards written, {} structures left out as too large for the box\n", made, too_large);
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run_tool(command(), argc, argv, run); }
