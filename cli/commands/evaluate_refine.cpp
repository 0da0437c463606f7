// cryored evaluate refine: refinements of simulated data sets by real RELION, scored against the truth.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/installation.hpp"
#include "cli/plugin_words.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "cli/threads.hpp"
#include "cli/weights_identity.hpp"
#include "cli/weights_modes.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/fourier/fft.hpp"
#include "evaluation/benchmark.hpp"
#include "evaluation/controls.hpp"
#include "evaluation/refine_page.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

int run(const Settings& settings) {
  set_threads(usable_processors());
  std::string program = settings.text("reconstruct");
  if (program.empty()) program = plugin_path();
  const fs::path out = fs::absolute(settings.text("out"));
  const double pixel_size = settings.number("pixel-size");
  std::vector<RefineMode> modes;
  std::map<std::string, CellWeights> weights;  // by mode
  const std::map<std::string, std::string> own_weights = weights_modes(settings);
  for (const std::string& name : split_words(settings.text("modes"), ',')) {
    const ModeParts parts = mode_parts(name);
    std::string words = settings.text("reconstruct-options");
    if (!parts.label.empty()) {
      if (!own_weights.contains(name))
        throw UsageError({"--modes", "", name, "a mode that --weights-mode gives a network",
                          "add --weights-mode " + name + "=FILE"});
      words += (words.empty() ? "" : " ") + ("--weights " + shell_word(fs::absolute(own_weights.at(name)).string()));
    }
    const std::string called = fs::absolute(program).string();
    modes.push_back(refine_mode(parts.base, called, words));
    modes.back().name = name;
    modes.back().denoises = network_takes_part(modes.back(), called, out.string());
    if (parts.denoises && fs::exists(program))
      weights[name] = weights_in_force(program, words, out.string(), name, pixel_size);
  }
  // Where no mode calls it, too.
  check_plugin_words(shell_line_words(settings.text("reconstruct-options")));
  if (modes.empty()) throw UsageError({"--modes", "", "none", "plain, gaussian, red, cw-red, per-shell", ""});
  for (const RefineMode& mode : modes)
    if (!mode.external.empty() && !fs::exists(program))
      throw UsageError({"--reconstruct", "", program + ", which does not exist", "the program cryored-reconstruct",
                        "build it, or name it"});

  if (std::any_of(modes.begin(), modes.end(), [](const RefineMode& m) { return !m.external.empty(); }))
    if (const std::string withheld = withheld_settings(); !withheld.empty())
      std::cerr << "cryored: note: " << withheld << " (--reconstruct-options)\n";

  std::vector<double> snrs;
  for (const std::string& text : split_words(settings.text("snr"), ',')) {
    const OptionSpec one = tool_option("snr", OptionKind::number, "S", "", 1e-6, 1e6, "");
    check_value(one, text, {SourceLevel::command_line, "--snr"});
    snrs.push_back(std::stod(text));
  }
  if (snrs.empty()) throw UsageError({"--snr", "", "nothing", "one or more numbers above 0", ""});

  ParticleOptions options = particle_options(settings);
  // The same particles serve for every start map, which is a matter of the cell here.
  if (const double beyond = settings.number("phase-randomised"); beyond > 0) {
    if (settings.given("randomise-phases-beyond"))
      throw UsageError({"--phase-randomised, --randomise-phases-beyond", "", "both", "one of them", "leave one out"});
    options.randomise_phases_beyond = beyond;
  }
  std::vector<std::uint64_t> seeds;
  for (const std::string& text : split_words(settings.text("seeds"), ',')) {
    check_value(tool_option("seeds", OptionKind::integer, "N", "", 1, 1e9, ""), text,
                {SourceLevel::command_line, "--seeds"});
    seeds.push_back(std::stoull(text));
  }
  if (!seeds.empty() && settings.given("seed"))
    throw UsageError({"--seeds, --seed", "", "both", "one of them", "leave one out"});
  if (seeds.empty()) seeds = {options.seed};
  const std::string start = settings.text("start") == "truth" ? "" : settings.text("start");
  options.mirrored_start = false;
  options.other_start.clear();
  if (options.factor > 0) {
    if (settings.given("snr")) throw UsageError(Problem{"--snr, --factor", "", "both", "one of them", "leave one out"});
    snrs = {0.1};
  }
  watch_signals();
  ProgressLine line;
  ReportPage page(
      "Refinements by RELION, with and without cryored",
      "Simulated particles, refined by relion_refine --auto_refine and compared with the structure they came from.");
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  std::vector<std::pair<double, std::uint64_t>> kinds;  // SNR and seed
  for (const double snr : snrs)
    for (const std::uint64_t seed : seeds) kinds.emplace_back(snr, seed);
  const std::size_t total = settings.arguments.size() * kinds.size() * modes.size();
  std::size_t number = 0, failed = 0;
  for (const std::string& structure : settings.arguments)
    for (const auto& [snr, seed] : kinds) {
      DataSet data;
      data.options = options;
      data.options.snr = snr;
      data.options.seed = seed;
      const std::string suffix = particle_options_suffix(options);
      data.name =
          fmt::format("{}, {}{}", structure_id(structure),
                      options.factor > 0 ? fmt::format("factor {:g}", options.factor) : fmt::format("SNR {:g}", snr),
                      suffix.empty() ? "" : ", " + suffix.substr(1)) +
          (seeds.size() > 1 ? fmt::format(", seed {}", seed) : "") +
          (start.empty()         ? ""
           : start == "mirrored" ? ", mirrored start map"
                                 : ", start map of " + structure_id(start));
      data.structure = structure;
      const fs::path folder = out / data_set_name(structure_id(structure), data.options);
      data.folder = (folder / "particles").string();
      prepare_data_set(data, [&](int done) {
        line.show(data.name, fmt::format("{} of {} particles simulated", done, data.options.count));
      });
      const Truth truth = read_truth(data.folder);

      std::vector<LabelledCell> cells;
      for (const RefineMode& mode : modes) {
        Cell cell;
        cell.name = mode.name;
        cell.mode = mode;
        cell.folder = (folder / (mode.name + start_map_suffix(start))).string();
        cell.start = start;
        cell.weights = weights[mode.name];
        RelionOptions& o = cell.relion;
        o.ranks = static_cast<int>(settings.integer("ranks"));
        o.threads = static_cast<int>(settings.integer("threads"));
        o.padding = static_cast<int>(settings.integer("padding"));
        o.healpix_order = static_cast<int>(settings.integer("healpix-order"));
        o.local_healpix_order = static_cast<int>(settings.integer("local-healpix-order"));
        o.offset_range = settings.number("offset-range");
        o.offset_step = settings.number("offset-step");
        o.max_significant = static_cast<int>(settings.integer("max-significant"));
        o.max_iterations = static_cast<int>(settings.integer("max-iterations"));
        o.max_seconds = 60 * settings.number("max-minutes");
        o.random_seed = static_cast<int>(seed);
        o.extra = split_words(settings.text("relion-options"), ' ');
        const std::string stage = fmt::format("[{}/{}] {}, {}", ++number, total, data.name, mode.name);
        LabelledCell labelled{mode.name, cell, {}};
        try {
          labelled.result = run_cell(
              cell, data, truth, [&](const RunProgress& p) { line.show(stage, progress_text(p, o)); }, interrupted);
        } catch (const Error& e) {
          line.finish();
          if (interrupted()) throw;
          std::cerr << stage << ": error: " << e.what() << "\n";
          ++failed;
          continue;
        }
        line.finish();
        if (labelled.result.end == RunEnd::cancelled)
          throw Error({stage, "", "interrupted", "", "run the same command again to continue"});
        results.push_back({{"data_set", data.name},
                           {"mode", mode.name},
                           {"end", describe(labelled.result.end)},
                           {"relion", labelled.result.relion_version},
                           {"seconds", labelled.result.timeline.total_seconds},
                           {"cpu_seconds", labelled.result.timeline.cpu_seconds},
                           {"score", nlohmann::ordered_json::parse(score_json(labelled.result.score))}});
        if (labelled.result.other_hand)
          results.back()["score_other_hand"] = nlohmann::ordered_json::parse(score_json(*labelled.result.other_hand));
        cells.push_back(std::move(labelled));
        write_text_atomically((out / "results.json").string(), json_text(results, 1) + "\n");
      }
      if (cells.empty()) continue;
      const ReportTable table = result_table(cells);
      std::cout << data.name << "\n" << format_text_table(table) << table.caption << "\n" << std::endl;
      page.heading(data.name);
      page.table(table);
      add_refinement_sections(page, data, truth, cells);
      write_text_atomically((out / "index.html").string(), page.html());
    }
  if (failed < total) std::cout << "page: " << (out / "index.html").string() << "\n";
  if (failed > 0)
    throw Error({"cryored evaluate refine", "", fmt::format("{} of {} refinements failed", failed, total), "none",
                 "see the messages above; the same command tries them again"});
  return 0;
}

}  // namespace

Command evaluate_refine_command() {
  using enum OptionKind;
  Command command{"evaluate refine", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored evaluate refine";
  spec.arguments = "STRUCTURE...";
  spec.summary = "Refines simulated data sets with RELION in several ways and compares them with the truth";
  spec.details =
      "For each structure (PDB or mmCIF, may be .gz) and each SNR a particle stack is simulated and refined by "
      "relion_refine_mpi once per mode: plain (RELION alone), gaussian, red (lambda 1), cw-red, per-shell or default, "
      "these through cryored-reconstruct, or red-LABEL and the like with a network of their own. Every cell is a "
      "folder below the output folder; finished cells are not run "
      "again, and "
      "interrupted ones continue with RELION's last finished iteration.\n\n"
      "With --randomise-phases-beyond the particles carry nothing beyond that resolution: what the half-maps share "
      "there is invented by the refinement. With --start mirrored each cell is also compared with the mirrored truth, "
      "which explains the particles just as well.\n\n"
      "Results: <out>/index.html, <out>/results.json, and score.json in each cell.";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 1000;
  spec.options = {
      tool_option("out", path, "DIR", "refine-bench", "output folder"),
      tool_option("modes", text, "LIST", "plain,red,cw-red", "ways to refine, separated by commas"),
      tool_option("snr", text, "LIST", "0.1",
                  "signal variance over noise variance, whole image; several separated by commas"),
  };
  for (OptionSpec& option : particle_option_specs()) spec.options.push_back(std::move(option));
  spec.options.push_back(tool_option("seeds", text, "LIST", "",
                                     "several in place of --seed, separated by commas: data sets and "
                                     "refinements that differ in nothing else"));
  spec.options.push_back(tool_option("phase-randomised", number, "A", "0", 0, 1e4,
                                     "the same as --randomise-phases-beyond: what the loop itself invents, offline"));
  for (OptionSpec& option : std::vector<OptionSpec>{
           tool_option("max-iterations", integer, "N", "0", 0, 999, "stop rule: RELION's --auto_iter_max; 0 for none"),
           tool_option("max-minutes", number, "T", "0", 0, 1e6,
                       "stop rule: wall-clock time of one refinement; 0 for none"),
           tool_option("max-significant", integer, "N", "500", 0, 1e6,
                       "RELION's --maxsig: poses kept per particle; 0 for all"),
           tool_option("healpix-order", integer, "N", "2", 0, 6, "first angular sampling: 1 is 30, 2 is 15 degrees"),
           tool_option(
               "local-healpix-order", integer, "N", "4", 1, 9,
               "angular sampling from which searches are local: 4 is 3.75 degrees (RELION's default), 3 is 7.5"),
           tool_option("offset-range", number, "N", "3", 0, 100, "search range of shifts, pixels"),
           tool_option("offset-step", number, "N", "2", 0.1, 100, "sampling of shifts, pixels"),
           tool_option("padding", integer, "N", "1", 1, 2, "RELION's --pad"),
           tool_option("ranks", integer, "N", "3", 3, 129, "MPI ranks: one leader, two or more followers"),
           tool_option("threads", integer, "N", "1", 1, 256, "threads per rank"),
           tool_option("reconstruct", path, "PROGRAM", "",
                       "cryored-reconstruct to use; without it the one beside this program"),
           weights_mode_option(),
           tool_option("reconstruct-options", text, "WORDS", "", "more options for cryored-reconstruct"),
           tool_option("relion-options", text, "WORDS", "", "more options for relion_refine_mpi"),
       })
    spec.options.push_back(std::move(option));
  return command;
}

}  // namespace cryored
