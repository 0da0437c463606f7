// cryored-demo: from a structure to two refinements by real RELION and a page that compares them.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/weights_identity.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "evaluation/process.hpp"
#include "evaluation/refine_page.hpp"

namespace fs = std::filesystem;

namespace {

using namespace cryored;

OptionSpec option(const std::string& name, OptionKind kind, const std::string& metavar, const std::string& value,
                  const std::string& help, double low = 0, double high = 0) {
  OptionSpec o{name, kind, metavar, value, help};
  if (high > low) o.minimum = low, o.maximum = high;
  o.persistent = false;
  return o;
}

CommandSpec command() {
  CommandSpec spec;
  spec.program = "cryored-demo";
  spec.arguments = "[STRUCTURE]";
  spec.summary = "Refines simulated particles with RELION, plain and through cryored, and compares the maps";
  spec.details =
      "Simulates a small particle stack from STRUCTURE (PDB or mmCIF, may be .gz; without it adenylate kinase, PDB "
      "entry 4AKE, which comes with this program), refines it with relion_refine once as it is and once with "
      "--external_reconstruct through cryored-reconstruct, which regularises by denoising with the shipped network, "
      "compares both maps with the truth, prints a table and writes a page with pictures.\n\n"
      "Interrupted, it continues where it was when it is called again; finished, it only shows the result again.";
  spec.maximum_arguments = 1;
  using enum OptionKind;
  spec.options = {
      option("out", path, "DIR", "demo", "output folder; the page is <DIR>/index.html"),
      option("modes", text, "LIST", "plain,default",
             "refinements: plain, default (cryored without options), gaussian, red, cw-red, per-shell; separated by "
             "commas"),
      option("count", integer, "N", "600", "particles", 20, 1e6),
      option("snr", number, "S", "0.15", "signal variance over noise variance, whole image", 1e-4, 1e4),
      option("pixel-size", number, "A", "2.5", "pixel size in A", 0.5, 10),
      option("box", integer, "N", "", "pixels, even; without it 48, or what the structure needs", 24, 256),
      option("seed", integer, "N", "1", "of the simulation and of RELION", 0, 1e9),
      option("max-iterations", integer, "N", "14", "iterations of each refinement at most", 1, 999),
      option("minutes", number, "T", "18", "wall-clock time for all refinements together", 0.1, 1e5),
      option("reconstruct", path, "PROGRAM", "", "cryored-reconstruct to use; without it the one beside this program"),
      option("reconstruct-options", text, "WORDS", "", "more options for cryored-reconstruct"),
      option("restart", flag, "", "no", "throw away what an earlier run left in the output folder"),
  };
  return spec;
}

std::string label_of(const std::string& mode) {
  return mode == "plain"       ? "RELION, plain"
         : mode == "default"   ? "cryored"
         : mode == "cw-red"    ? "CW-RED"
         : mode == "per-shell" ? "RED, confidence per shell"
         : mode == "red"       ? "RED, lambda 1"
                               : "cryored, Gaussian";
}

/// An even box in which the structure fills at most 70 % of the width.
std::size_t box_for(const std::string& structure, double pixel_size) {
  const double diameter = 2 * read_structure(structure).radius;
  const auto needed = 2 * static_cast<std::size_t>(std::ceil(diameter / 0.7 / pixel_size / 2));
  if (needed > 96)
    throw UsageError({structure, "diameter", fmt::format("{:.0f} A, a box of {} pixels", diameter, needed),
                      "up to 96 pixels in a demo of minutes",
                      "give a larger --pixel-size, or --box and more --minutes"});
  return std::max<std::size_t>(48, needed);
}

int run(const std::vector<std::string>& words) {
  const CommandSpec spec = command();
  const Settings settings = parse_options(spec, words, {});
  if (settings.help) {
    std::cout << help_text(spec);
    return 0;
  }
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  std::string program = settings.text("reconstruct");
  if (program.empty()) program = (here / "cryored-reconstruct").string();
  const std::string structure = settings.arguments.empty()
                                    ? (here.parent_path() / "share/cryored/demo/4AKE.pdb.gz").string()
                                    : settings.arguments[0];
  std::vector<std::string> names;
  std::string rest = settings.text("modes") + ",";
  for (std::size_t comma; (comma = rest.find(',')) != std::string::npos; rest.erase(0, comma + 1))
    if (comma > 0) names.push_back(rest.substr(0, comma));
  std::vector<RefineMode> modes;
  for (const std::string& name : names) {
    const std::string called = fs::absolute(program).string();
    modes.push_back(refine_mode(name, called, settings.text("reconstruct-options")));
    modes.back().denoises = network_takes_part(modes.back(), called, fs::absolute(settings.text("out")).string());
  }
  if (modes.empty())
    throw UsageError({"--modes", "", "nothing", "plain, default, gaussian, red, cw-red, per-shell", ""});
  for (const RefineMode& mode : modes)
    if (!mode.external.empty() && find_program(fs::absolute(program).string()).empty())
      throw UsageError({"--reconstruct", "", program + ", which cannot be run", "the program cryored-reconstruct",
                        "build it (./dev build), or name it"});
  for (const char* needed : {"relion_refine_mpi", "mpirun"})
    if (find_program(needed).empty())
      throw SystemError(
          {needed, "", "not found in PATH", "RELION 3.1 or newer with MPI", "./dev setup, or apt install relion"});

  const fs::path out = fs::absolute(settings.text("out"));
  read_structure(structure, false);  // before anything is removed for it
  if (settings.flag("restart")) {
    // Of a demo's folder the particles have a dataset.json, and only then are the others a demo's.
    if (fs::exists(out / "particles") && !fs::exists(out / "particles" / "dataset.json"))
      throw UsageError({(out / "particles").string(), "--restart", "a folder that no demo made", "the folder of a demo",
                        "name another --out"});
    for (const char* folder : {"plain", "default", "gaussian", "red", "cw-red", "per-shell", "particles"}) {
      if (!fs::exists(out / "particles") && fs::exists(out / folder))
        throw UsageError({(out / folder).string(), "--restart", "a folder without a demo's particles beside it",
                          "the folder of a demo", "remove it yourself, or name another --out"});
      fs::remove_all(out / folder);
    }
  }
  fs::create_directories(out);
  watch_signals();
  ProgressLine line;
  const std::size_t stages = modes.size() + 2;

  DataSet data;
  data.structure = structure;
  const std::string file = fs::path(structure).filename().string();
  data.name = file.substr(0, file.find('.'));
  data.options.pixel_size = settings.number("pixel-size");
  data.options.box = settings.has("box") ? static_cast<std::size_t>(settings.integer("box"))
                                         : box_for(structure, data.options.pixel_size);
  data.options.count = static_cast<int>(settings.integer("count"));
  data.options.snr = settings.number("snr");
  data.options.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  data.folder = (out / "particles").string();
  const std::string first = fmt::format("[1/{}] simulating {} particles of {}", stages, data.options.count, data.name);
  prepare_data_set(data, [&](int done) { line.show(first, fmt::format("{} done", done)); });
  const Truth truth = read_truth(data.folder);
  line.finish();

  // Every refinement gets its share of the time that is left, so that the whole ends in time.
  double budget = 60 * settings.number("minutes");
  std::vector<LabelledCell> cells;
  for (std::size_t k = 0; k < modes.size(); ++k) {
    LabelledCell cell{label_of(modes[k].name), {}, {}};
    cell.cell.name = modes[k].name;
    cell.cell.mode = modes[k];
    cell.cell.folder = (out / modes[k].name).string();
    // So that a demo which goes on after an upgrade does not mix networks.
    if (modes[k].denoises)
      cell.cell.weights = weights_in_force(program, settings.text("reconstruct-options"), out.string(), modes[k].name,
                                           data.options.pixel_size);
    RelionOptions& o = cell.cell.relion;
    o.max_iterations = static_cast<int>(settings.integer("max-iterations"));
    o.max_seconds = 60 * settings.number("minutes") / static_cast<double>(modes.size());
    // Local searches from 7.5 degrees on: the global ones at that step would take minutes an iteration.
    o.local_healpix_order = 3;
    o.random_seed = static_cast<int>(settings.integer("seed"));
    const std::string stage = fmt::format("[{}/{}] {}", k + 2, stages, cell.label);
    const auto report = [&](const RunProgress& p) {
      std::string text = progress_text(p, o);
      // The refinements to come are taken to last as long as this one will.
      if (p.left && k + 1 < modes.size()) {
        const double later = (p.elapsed + *p.left) * static_cast<double>(modes.size() - k - 1);
        text += fmt::format("; demo: about {} left", duration(std::min(budget - p.elapsed, *p.left + later)));
      }
      line.show(stage, text);
    };
    cell.result = run_cell(cell.cell, data, truth, report, interrupted);
    line.finish();
    if (cell.result.end == RunEnd::cancelled)
      throw Error({stage, "", "interrupted", "", "run the same command again to continue"});
    budget -= cell.result.timeline.total_seconds;
    std::cout << stage << ": " << cell.result.score.iterations.back().iteration << " iterations in "
              << duration(cell.result.timeline.total_seconds) << " (" << describe(cell.result.end) << ")" << std::endl;
    cells.push_back(std::move(cell));
  }

  const ReportTable table = result_table(cells);
  ReportPage page(
      fmt::format("{}: RELION with and without cryored", data.name),
      fmt::format(
          "{} simulated particles of {} pixels at {:g} A, SNR {:g}, refined by RELION {} (--auto_refine, at most {} "
          "iterations) from the structure at {:g} A.",
          data.options.count, data.options.box, data.options.pixel_size, data.options.snr,
          cells[0].result.relion_version, settings.integer("max-iterations"), data.options.start_resolution));
  page.table(table);
  add_refinement_sections(page, data, truth, cells);
  page.heading("How it was run");
  for (const LabelledCell& c : cells) {
    page.paragraph(c.label + (c.cell.mode.external.empty() ? ": RELION's own reconstruction." : ":"));
    if (!c.cell.mode.external.empty())
      page.code("export RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE=\"" + c.cell.mode.external +
                "\"\nrelion_refine_mpi --external_reconstruct ...");
  }
  const std::string index = (out / "index.html").string();
  write_text_atomically(index, page.html());
  std::cout << "\n" << format_text_table(table) << table.caption << "\n\npage: " << index << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program("cryored-demo", [&] { return run({argv + 1, argv + argc}); });
}
