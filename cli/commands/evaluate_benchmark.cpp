// cryored evaluate benchmark: the cells of a benchmark file, run, listed and reported.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/denoise_map.hpp"
#include "cli/denoiser_choice.hpp"
#include "cli/installation.hpp"
#include "cli/network_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "cli/threads.hpp"
#include "cli/weights_identity.hpp"
#include "cli/weights_modes.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "evaluation/benchmark_page.hpp"
#include "evaluation/benchmark_run.hpp"
#include "evaluation/benchmark_table.hpp"
#include "evaluation/cell.hpp"
#include "evaluation/refine_page.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

/// What cryored-reconstruct does without options, by the mode's name.
std::string default_mode(const Settings& settings) {
  const Command reconstruct = reconstruct_command();
  std::string prior = find_option(reconstruct.spec.options, "prior")->default_value;
  if (prior != "auto") return prior;
  return denoisers_in_force(settings).front().confidence ? "per-shell" : "cw-red";
}

/// The cells to look at: chosen by --cells and --large, "default" by its name.
std::vector<BenchmarkCell> chosen_cells(const Benchmark& benchmark, const Settings& settings) {
  const std::string by_default = default_mode(settings);
  std::vector<BenchmarkCell> cells;
  std::set<std::string> names;
  for (BenchmarkCell cell : benchmark.cells) {
    const bool asked = fits(cell, settings.text("cells"));
    if (cell.mode == "default") cell.mode = by_default;
    if (!asked && !fits(cell, settings.text("cells"))) continue;
    if (cell.large && !settings.flag("large")) continue;
    if (names.insert(cell.name()).second) cells.push_back(std::move(cell));
  }
  if (cells.empty())
    throw UsageError({"--cells", "", settings.text("cells"), "a pattern that fits a cell or group of the benchmark",
                      "--list without --cells shows them; large ones need --large"});
  return cells;
}

BenchmarkSetup setup_of(const Settings& settings, const std::vector<BenchmarkCell>& cells) {
  BenchmarkSetup setup;
  setup.cells = fs::absolute(settings.text("out")).lexically_normal().string();
  setup.results =
      settings.text("results").empty() ? setup.cells + "/results" : fs::absolute(settings.text("results")).string();
  setup.program =
      fs::absolute(settings.text("reconstruct").empty() ? plugin_path() : settings.text("reconstruct")).string();
  setup.version = build_info().version;
  setup.commit = build_info().commit;
  setup.weights = weights_by_pixel_size(settings);
  setup.relion_options = split_words(settings.text("relion-options"), ' ');
  for (const auto& [mode, file] : weights_modes(settings)) setup.labelled[mode] = weights_at(file);
  std::vector<std::string> files = settings.arguments;
  if (!settings.text("structures").empty())
    for (const std::string& file : structure_files(settings.text("structures"))) files.push_back(file);
  // Data sets and records are named by the identifier alone.
  for (const std::string& file : files) {
    const auto [known, fresh] = setup.structures.emplace(upper_case(structure_id(file)), fs::absolute(file).string());
    const bool needed = std::any_of(cells.begin(), cells.end(),
                                    [&, id = known->first](const BenchmarkCell& cell) { return cell.structure == id; });
    if (!fresh && needed)
      throw InputError({file, "identifier", known->first + ", as " + known->second + " has", "one file for each",
                        "rename one of them, or leave one out"});
  }
  return setup;
}

/// Records for guesses of time, which do without damaged ones: each is warned of once. A cell whose own record is
/// damaged is refused by standing().
class KnownTimes {
 public:
  std::vector<CellRecord> read(const std::string& results) {
    return read_records(results, [&](const std::string& path, const Error& e) {
      if (warned_.insert(path).second)
        std::cerr << "cryored: warning: left out of the guesses of time: " << e.what() << "\n";
    });
  }

 private:
  std::set<std::string> warned_;
};

void list(const std::vector<BenchmarkCell>& cells, const BenchmarkSetup& setup) {
  const std::vector<CellRecord> records = KnownTimes().read(setup.results);
  std::map<std::string, int> count;
  double left = 0;
  std::size_t wide = 0;
  for (const BenchmarkCell& cell : cells) wide = std::max(wide, cell.name().size());
  bool guessed = true;
  for (const BenchmarkCell& cell : cells) {
    const CellStanding s = standing(cell, setup, records);
    ++count[describe(s.state)];
    if (s.state == CellState::refused) std::cerr << cell.name() << ": error: " << s.fault << "\n";
    std::string time = s.seconds > 0 ? duration(s.seconds) : "";
    if (s.state != CellState::done && s.state != CellState::refused) {
      if (s.left) time += (time.empty() ? "" : ", ") + std::string("about ") + duration(*s.left) + " left";
      if (s.left)
        left += *s.left;
      else
        guessed = false;
    }
    std::cout << fmt::format("{:<{}}  {:<15}  {}{}\n", cell.name(), wide, describe(s.state),
                             cell.large ? "large; " : "", time);
  }
  std::string sum;
  for (const auto& [state, n] : count) sum += fmt::format("{}{} {}", sum.empty() ? "" : ", ", n, state);
  std::cout << fmt::format("{} cells: {}; {} left{}\n", cells.size(), sum, duration(left),
                           guessed ? "" : ", not counting those of which none like it has finished");
  if (const int refused = count[describe(CellState::refused)]; refused > 0)
    throw Error({"cryored evaluate benchmark", "", fmt::format("{} cells are refused", refused), "none",
                 "see the messages above"});
}

/// The records of the chosen cells, each with its cell; of all weights.
std::vector<std::pair<CellRecord, const BenchmarkCell*>> records_of(const std::vector<BenchmarkCell>& cells,
                                                                    const std::string& results) {
  std::map<std::pair<std::string, std::string>, const BenchmarkCell*> wanted;
  for (const BenchmarkCell& cell : cells) wanted[{cell.data_set(), cell.mode}] = &cell;
  std::vector<std::pair<CellRecord, const BenchmarkCell*>> records;
  for (CellRecord& r : read_records(results))
    if (const auto cell = wanted.find({r.data_set, r.mode}); cell != wanted.end()) {
      require_same_data(r, *cell->second, "");
      require_same_options(r, *cell->second, std::nullopt);
      records.emplace_back(std::move(r), cell->second);
    }
  if (records.empty())
    throw InputError({results, "", "no record of these cells", "one or more", "run some cells first"});
  return records;
}

/// Brings records of older versions to today's comparison with the truth.
void rescore_all(const std::vector<BenchmarkCell>& cells, const BenchmarkSetup& setup) {
  int current = 0, rescored = 0;
  for (auto& [record, cell] : records_of(cells, setup.results)) {
    if (!record.score.final_map.fsc.empty())
      ++current;
    else if (rescore(record, truth_path(setup.results, cell->structure, cell->particles), cell->relion.padding))
      ++rescored;
    else
      std::cout << record.path << ": keeps no map; its cell is open again\n";
  }
  std::cout << fmt::format("{} records scored again, {} were as they should be\n", rescored, current);
}

/// Tables and page from the records of the chosen cells alone.
void report(const std::vector<BenchmarkCell>& cells, const BenchmarkSetup& setup, double hopeless) {
  std::vector<CellRecord> records;
  for (auto& [record, cell] : records_of(cells, setup.results)) {
    if (record.score.final_map.fsc.empty())
      throw InputError({record.path, "score", "of a version that compared maps otherwise", "one of this version",
                        "score the records again: the same command with --rescore in place of --report"});
    records.push_back(std::move(record));
  }
  std::vector<std::string> structures;  // in the order of the file
  for (const BenchmarkCell& cell : cells)
    if (std::find(structures.begin(), structures.end(), cell.structure) == structures.end())
      structures.push_back(cell.structure);
  const BenchmarkSummary summary = summarise(records, hopeless, structures);
  const ReportTable overview = overview_table(summary), goals = goal_table(summary);
  std::cout << format_text_table(overview) << overview.caption << "\n\n"
            << format_text_table(goals) << goals.caption << "\n";
  const fs::path folder = setup.results;
  write_text_atomically((folder / "README.md").string(), benchmark_markdown(summary));
  write_text_atomically((folder / "index.html").string(), benchmark_page(summary, setup.results));
  std::cout << "page: " << (folder / "index.html").string() << "\n";
}

/// Whether another process refines the cell's data set without cryored now.
bool plain_runs(BenchmarkCell cell, const BenchmarkSetup& setup) {
  cell.mode = "plain";
  return standing(cell, setup, {}).state == CellState::running;
}

int run_all(const std::vector<BenchmarkCell>& cells, const StopRule& rule, const BenchmarkSetup& setup) {
  for (const BenchmarkCell& cell : cells)
    if (mode_parts(cell.mode).refines && cell.mode != "plain" && !fs::exists(setup.program))
      throw UsageError({"--reconstruct", "", setup.program + ", which does not exist",
                        "the program cryored-reconstruct", "build it, or name it"});
  if (const std::string withheld = withheld_settings(); !withheld.empty())
    std::cerr << "cryored: note: " << withheld << "\n";
  watch_signals();
  ProgressLine line;
  KnownTimes times;
  std::size_t number = 0;
  int failed = 0, not_run = 0;
  for (const BenchmarkCell& cell : cells) {
    const std::string stage = fmt::format("[{}/{}] {}", ++number, cells.size(), cell.name());
    const std::vector<CellRecord> records = times.read(setup.results);
    const CellStanding before = standing(cell, setup, records);
    if (before.state == CellState::done) continue;
    if (before.state == CellState::refused) {
      std::cerr << stage << ": error: " << before.fault << "\n";
      ++failed;
      continue;
    }
    if (before.state != CellState::open && before.state != CellState::started) {
      std::cerr << stage << ": " << describe(before.state) << "\n";
      not_run += before.state != CellState::running && !(before.state == CellState::waits && plain_runs(cell, setup));
      continue;
    }
    double left = 0;
    for (std::size_t k = number - 1; k < cells.size(); ++k) left += standing(cells[k], setup, records).left.value_or(0);
    const double spent = before.seconds;
    try {
      const auto record = run_benchmark_cell(
          cell, rule, setup,
          [&](const RunProgress& p) {
            const double all = std::max(0.0, left - (p.elapsed - spent));
            line.show(stage, progress_text(p, cell.relion) +
                                 (left > 0 ? fmt::format("; all cells: about {} left", duration(all)) : ""));
          },
          [&](int done) { line.show(stage, fmt::format("{} of {} particles simulated", done, cell.particles.count)); },
          interrupted);
      line.finish();
      if (interrupted()) throw Error({stage, "", "interrupted", "", "run the same command again to continue"});
      if (!record) {
        std::cerr << stage << ": another process works on it\n";
        continue;
      }
      const MapScore* map = judged(*record);
      std::cout << fmt::format("{}: {}, FSC 0.5 to truth {} A, {}\n", cell.name(), record->end,
                               map ? format_number(map->resolution, 1) : "-", duration(record->seconds))
                << std::flush;
    } catch (const UsageError&) {
      throw;
    } catch (const Error& e) {
      line.finish();
      if (interrupted()) throw;
      std::cerr << stage << ": error: " << e.what() << "\n";
      ++failed;
    }
  }
  if (failed > 0)
    throw Error({"cryored evaluate benchmark", "", fmt::format("{} cells failed", failed), "none",
                 "see the messages above; the same command tries them again"});
  if (not_run > 0)
    throw Error({"cryored evaluate benchmark", "",
                 fmt::format("{} of {} cells could not be run", not_run, cells.size()), "none",
                 "give what the messages above name (--structures, --weights-mode, the cell plain)"});
  return 0;
}

int run(const Settings& settings) {
  set_threads(settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors());
  std::string file = settings.text("benchmark");
  if (file.empty()) file = prefix_folder() + "/share/cryored/benchmark/refine.json";
  std::vector<std::string> own;
  for (const std::string& path : settings.arguments) own.push_back(structure_id(path));
  const Benchmark benchmark = read_benchmark(file, own);
  const std::vector<BenchmarkCell> cells = chosen_cells(benchmark, settings);
  BenchmarkSetup setup = setup_of(settings, cells);
  if (settings.flag("list")) {
    list(cells, setup);
    return 0;
  }
  if (settings.flag("rescore")) {
    rescore_all(cells, setup);
    return 0;
  }
  if (settings.flag("report")) {
    report(cells, setup, benchmark.rule.hopeless);
    return 0;
  }
  DenoiserChoice denoisers(settings, usable_processors());
  setup.denoise = [&denoisers](const Map& map, double pixel_size, double nominal) {
    ResampleBoxes boxes;
    return denoise_map(denoisers.at(nominal, pixel_size), map, pixel_size, boxes);
  };
  const int code = run_all(cells, benchmark.rule, setup);
  std::cout << "tables and page: the same command with --report\n";
  return code;
}

}  // namespace

Command evaluate_benchmark_command() {
  using enum OptionKind;
  Command command{"evaluate benchmark", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored evaluate benchmark";
  spec.arguments = "[STRUCTURE...]";
  spec.summary = "A benchmark of refinements from its file: runs what is open, lists, reports";
  spec.details =
      "A benchmark file (docs/refinements.md) lists cells: a data set simulated from a structure, refined by RELION in "
      "one "
      "way. Every cell that is not done is run, in the order of the file; an interrupted one goes on, and several of "
      "these "
      "commands may work on different cells at once. Each finished cell leaves a small record and its final map in "
      "--results; a cell with a record is done, wherever it was run. Cells of a network are known by its "
      "digest, per-shell ones by that of the weights file with its table of confidence, so that other weights are "
      "other "
      "cells.\n\n"
      "STRUCTURE (PDB or mmCIF, may be .gz) takes the place of the structures of the file; without any they are looked "
      "for "
      "in --structures by their PDB identifiers.";
  spec.maximum_arguments = 1000;
  spec.options = {
      tool_option("benchmark", path, "FILE", "", "benchmark file; without it the one of this installation"),
      tool_option("structures", path, "DIR", "",
                  "folder with the structures of the file, named <identifier>.pdb.gz, .cif or "
                  "the like"),
      tool_option("out", path, "DIR", "refine-bench", "folder of data sets and refinements"),
      tool_option("results", path, "DIR", "", "folder of records and final maps; without it <out>/results"),
      tool_option(
          "cells", text, "PATTERNS", "",
          "only cells whose name (DATA_SET/MODE) or group fits, with the wildcards * ? []; several separated by "
          "commas"),
      tool_option("large", flag, "", "no", "those too that the file marks as large"),
      tool_option("list", flag, "", "no", "run nothing; tell where each cell stands and how long the rest will take"),
      tool_option("report", flag, "", "no",
                  "run nothing; make tables (<results>/README.md) and page (<results>/index.html) from the records"),
      tool_option("rescore", flag, "", "no",
                  "run nothing; compare the kept final maps of records that an older version scored with the truth "
                  "again"),
      weights_mode_option(),
      tool_option("relion-options", text, "WORDS", "",
                  "more options for relion_refine_mpi, as --cpu of an accelerated build; the records have them"),
      tool_option("reconstruct", path, "PROGRAM", "",
                  "cryored-reconstruct to use; without it the one beside this program"),
      weights_option(),
      device_option(),
      precision_option(),
      threads_option(),
  };
  return command;
}

}  // namespace cryored
