// cryored-refine: refinements of simulated data sets by real RELION, scored against the truth.

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "benchmarks/refine/console.hpp"
#include "benchmarks/refine/controls.hpp"
#include "benchmarks/refine/refine_page.hpp"
#include "cli/run_program.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace fs = std::filesystem;

namespace {

using namespace cryored;

OptionSpec number_option(const std::string& name, const std::string& metavar, const std::string& value, double low,
                         double high, const std::string& help, OptionKind kind = OptionKind::number) {
  OptionSpec o{name, kind, metavar, value, help};
  o.minimum = low;
  o.maximum = high;
  o.persistent = false;
  return o;
}

OptionSpec text_option(const std::string& name, const std::string& metavar, const std::string& value,
                       const std::string& help, OptionKind kind = OptionKind::text) {
  OptionSpec o{name, kind, metavar, value, help};
  o.persistent = false;
  return o;
}

CommandSpec command() {
  CommandSpec spec;
  spec.program = "cryored-refine";
  spec.arguments = "STRUCTURE...";
  spec.summary = "Refines simulated data sets with RELION in several ways and compares them with the truth";
  spec.details =
      "For each structure (PDB or mmCIF, may be .gz) and each SNR a particle stack is simulated and refined by "
      "relion_refine_mpi once per mode: plain (RELION alone), gaussian, red (lambda 1), cw-red or per-shell, these "
      "through "
      "cryored-reconstruct. Every cell is a folder below the output folder; finished cells are not run again, and "
      "interrupted ones continue with RELION's last finished iteration.\n\n"
      "Results: <out>/index.html, <out>/results.json, and score.json in each cell.";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 1000;
  using enum OptionKind;
  spec.options = {
      text_option("out", "DIR", "refine-bench", "output folder", path),
      text_option("modes", "LIST", "plain,red,cw-red", "ways to refine, separated by commas"),
      text_option("snr", "LIST", "0.1",
                  "signal variance over noise variance, whole image; several separated by commas"),
      number_option("box", "N", "48", 16, 1024, "pixels, even", integer),
      number_option("pixel-size", "A", "2.5", 0.1, 20, "pixel size in A"),
      number_option("count", "N", "1000", 10, 1e7, "particles", integer),
      number_option("seed", "N", "1", 0, 1e9, "of the simulation and of RELION", integer),
      number_option("max-iterations", "N", "0", 0, 999, "stop rule: RELION's --auto_iter_max; 0 for none", integer),
      number_option("max-minutes", "T", "0", 0, 1e6, "stop rule: wall-clock time of one refinement; 0 for none"),
      number_option("max-significant", "N", "500", 0, 1e6, "RELION's --maxsig: poses kept per particle; 0 for all",
                    integer),
      number_option("healpix-order", "N", "2", 0, 6, "first angular sampling: 1 is 30, 2 is 15 degrees", integer),
      number_option("local-healpix-order", "N", "4", 1, 9,
                    "angular sampling from which searches are local: 4 is 3.75 degrees (RELION's default), 3 is 7.5",
                    integer),
      number_option("offset-range", "N", "3", 0, 100, "search range of shifts, pixels"),
      number_option("offset-step", "N", "2", 0.1, 100, "sampling of shifts, pixels"),
      number_option("padding", "N", "1", 1, 2, "RELION's --pad", integer),
      number_option("ranks", "N", "3", 3, 129, "MPI ranks: one leader, two or more followers", integer),
      number_option("threads", "N", "1", 1, 256, "threads per rank", integer),
      text_option("start", "WHAT", "",
                  "start map: mirrored, or a PDB or mmCIF file of another structure; without it the structure itself, "
                  "at 30 A like the others"),
      tool_option("noise-only", flag, "", "no", "images of noise alone, with the start map of the structure"),
      text_option("reconstruct", "PROGRAM", "", "cryored-reconstruct to use; without it the one beside this program",
                  path),
      text_option("reconstruct-options", "WORDS", "", "more options for cryored-reconstruct"),
      text_option("relion-options", "WORDS", "", "more options for relion_refine_mpi"),
  };
  return spec;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) out.push_back(part);
  return out;
}

std::string stem_of(const std::string& path) {
  std::string name = fs::path(path).filename().string();
  return name.substr(0, name.find('.'));
}

int run(const std::vector<std::string>& words) {
  const CommandSpec spec = command();
  const Settings settings = parse_options(spec, words, {});
  if (settings.help) {
    std::cout << help_text(spec);
    return 0;
  }
  std::string program = settings.text("reconstruct");
  if (program.empty()) program = (fs::read_symlink("/proc/self/exe").parent_path() / "cryored-reconstruct").string();
  std::vector<RefineMode> modes;
  for (const std::string& name : split(settings.text("modes"), ','))
    modes.push_back(refine_mode(name, fs::absolute(program).string(), settings.text("reconstruct-options")));
  if (modes.empty()) throw UsageError({"--modes", "", "none", "plain, gaussian, red, cw-red, per-shell", ""});
  for (const RefineMode& mode : modes)
    if (!mode.external.empty() && !fs::exists(program))
      throw UsageError({"--reconstruct", "", program + ", which does not exist", "the program cryored-reconstruct",
                        "build it, or name it"});

  std::vector<double> snrs;
  for (const std::string& text : split(settings.text("snr"), ',')) {
    const OptionSpec one = number_option("snr", "S", "", 1e-6, 1e6, "");
    check_value(one, text, {SourceLevel::command_line, "--snr"});
    snrs.push_back(std::stod(text));
  }
  if (snrs.empty()) throw UsageError({"--snr", "", "nothing", "one or more numbers above 0", ""});

  watch_signals();
  ProgressLine line;
  const fs::path out = fs::absolute(settings.text("out"));
  ReportPage page(
      "Refinements by RELION, with and without cryored",
      "Simulated particles, refined by relion_refine --auto_refine and compared with the structure they came from.");
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  const std::size_t total = settings.arguments.size() * snrs.size() * modes.size();
  std::size_t number = 0;
  for (const std::string& structure : settings.arguments)
    for (const double snr : snrs) {
      DataSet data;
      const std::string start = settings.text("start");
      data.name = fmt::format("{}, {}{}", stem_of(structure),
                              settings.flag("noise-only") ? "noise only" : fmt::format("SNR {:g}", snr),
                              start.empty()         ? ""
                              : start == "mirrored" ? ", mirrored start map"
                                                    : ", start map of " + stem_of(start));
      data.structure = structure;
      data.options.box = static_cast<std::size_t>(settings.integer("box"));
      data.options.pixel_size = settings.number("pixel-size");
      data.options.count = static_cast<int>(settings.integer("count"));
      data.options.snr = snr;
      data.options.seed = static_cast<std::uint64_t>(settings.integer("seed"));
      data.noise_only = settings.flag("noise-only");
      const fs::path folder = out / fmt::format("{}_box{}_n{}_snr{:g}{}", stem_of(structure), data.options.box,
                                                data.options.count, snr, data.noise_only ? "_noise" : "");
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
        o.random_seed = static_cast<int>(settings.integer("seed"));
        o.extra = split(settings.text("relion-options"), ' ');
        const std::string stage = fmt::format("[{}/{}] {}, {}", ++number, total, data.name, mode.name);
        LabelledCell labelled{mode.name, cell, {}};
        labelled.result = run_cell(
            cell, data, truth, [&](const RunProgress& p) { line.show(stage, progress_text(p, o)); }, interrupted);
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
        cells.push_back(std::move(labelled));
        write_text_atomically((out / "results.json").string(), results.dump(1) + "\n");
      }
      const ReportTable table = result_table(cells);
      std::cout << data.name << "\n" << format_text_table(table) << std::endl;
      page.heading(data.name);
      page.table(table);
      add_refinement_sections(page, data, truth, cells);
      write_text_atomically((out / "index.html").string(), page.html());
    }
  std::cout << "page: " << (out / "index.html").string() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("cryored-refine", [&] { return run({argv + 1, argv + argc}); });
}
