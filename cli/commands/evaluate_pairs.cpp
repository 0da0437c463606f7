// cryored evaluate pairs: whether made pairs look like RELION's own.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "evaluation/refine_page.hpp"
#include "training/pair_page.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

/// The folder's own name; its whole path where another has the same.
std::vector<std::string> names_of(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    const fs::path whole = fs::path(path + "/").lexically_normal().parent_path();
    names.push_back(whole.filename().string());
  }
  std::vector<std::string> unique = names;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (std::count(names.begin(), names.end(), names[i]) > 1) unique[i] = paths[i];
  return unique;
}

std::vector<double> bin_edges(const Settings& settings) {
  std::vector<double> edges;
  for (const std::string& text : split_words(settings.text("bins"), ',')) {
    check_value(tool_option("bins", OptionKind::number, "A", "", 0.1, 1e4, ""), text,
                {SourceLevel::command_line, "--bins"});
    edges.push_back(std::stod(text));
  }
  return edges;
}

/// The command as it would be typed again.
std::string command_text(const Settings& settings, const std::vector<std::string>& folders) {
  std::string text = "cryored evaluate pairs --reference " + folders[0];
  for (const char* name : {"bins", "voxel"})
    if (settings.given(name)) text += fmt::format(" --{} {}", name, settings.text(name));
  if (settings.flag("same-structures")) text += " --same-structures";
  for (std::size_t i = 1; i < folders.size(); ++i) text += " " + folders[i];
  return text;
}

void write_results(const fs::path& out, const PairComparison& comparison, const std::string& command) {
  fs::create_directories(out);
  const std::pair<const char*, std::size_t> kinds[] = {{"power", 0}, {"fsc", 1}, {"factor", 3}};
  for (const auto& [name, which] : kinds) {
    const std::vector<std::string> plots = pair_plots(comparison, which);
    for (std::size_t i = 0; i < plots.size(); ++i)
      write_text_atomically((out / fmt::format("{}-{}.svg", name, i + 1)).string(), plots[i]);
  }
  write_text_atomically((out / "results.json").string(), pair_json(comparison));
  write_text_atomically((out / "index.html").string(), pair_page(comparison, command));
}

int run(const Settings& settings) {
  if (settings.text("reference").empty())
    throw UsageError(Problem{"--reference", "", "nothing", "a folder of pairs, RELION's own as a rule",
                             "give it; see cryored evaluate pairs --help"});
  std::vector<std::string> paths = {settings.text("reference")};
  paths.insert(paths.end(), settings.arguments.begin(), settings.arguments.end());
  for (std::size_t i = 1; i < paths.size(); ++i)
    if (std::find(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(i), paths[i]) !=
        paths.begin() + static_cast<std::ptrdiff_t>(i))
      throw UsageError(Problem{"DIR", "", paths[i] + " twice", "different folders", "name each once"});
  const std::vector<double> edges = bin_edges(settings);
  set_threads(1);
  const std::vector<std::string> names = names_of(paths);
  const double voxel = settings.has("voxel") ? settings.number("voxel") : 0;
  ProgressLine line;
  std::vector<PairFolder> folders;
  for (std::size_t i = 0; i < paths.size(); ++i)
    folders.push_back(read_pair_folder(paths[i], names[i], voxel, [&](std::size_t done, std::size_t all) {
      line.show(names[i], fmt::format("{} of {} shards", done, all));
    }));
  line.finish();
  const PairComparison comparison = compare_pairs(folders, edges, settings.flag("same-structures"));
  const std::string& out = settings.text("out");
  if (!out.empty()) write_results(out, comparison, command_text(settings, paths));
  if (settings.flag("json")) {
    std::cout << pair_json(comparison);
    return 0;
  }
  for (const ResolutionBin& bin : comparison.bins)
    if (std::any_of(bin.folders.begin(), bin.folders.end(), [](const FolderBin& f) { return f.pairs > 0; }))
      std::cout << "half-map FSC 0.143: " << bin.title() << "\n"
                << format_text_table(pair_table(comparison, bin)) << "\n";
  std::cout << fmt::format(
      "mean over structures (standard deviation between structures); * and **: away from {}'s mean by more than one "
      "and "
      "two of its standard deviations\n",
      comparison.names[0]);
  for (std::size_t i = 0; i < comparison.names.size(); ++i)
    if (comparison.unstated[i] > 0)
      std::cout << fmt::format("{}: {} pairs without a half-map FSC were left out\n", comparison.names[i],
                               comparison.unstated[i]);
  if (!out.empty()) std::cout << "page: " << (fs::path(out) / "index.html").string() << "\n";
  return 0;
}

}  // namespace

Command evaluate_pairs_command() {
  using enum OptionKind;
  Command command{"evaluate pairs", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored evaluate pairs";
  spec.arguments = "[DIR...]";
  spec.summary = "Compares training pairs of several origins, simulated ones with RELION's own";
  spec.details =
      "Each DIR holds shards that cryored pairs wrote. Pairs are taken together by nominal resolution (half-map FSC "
      "0.143), and per bin the folders are compared with the reference: FSC of the input to the truth and what the "
      "half-maps promise, power against the truth's, errors inside the structure, in the solvent and beyond, their "
      "kurtosis and correlation length. Each figure is a mean over structures with the standard deviation between "
      "them; "
      "a difference counts when it is larger than the reference's. The target must be the truth, so pairs of "
      "experimental half-maps cannot be judged. See docs/training.md.\n\n"
      "Results with --out: <out>/index.html, <out>/results.json and the plots as SVG files.";
  spec.maximum_arguments = 100;
  spec.options = {
      tool_option("reference", path, "DIR", "",
                  "folder of pairs to compare with, made with --refinements as a rule (required)"),
      tool_option("bins", text, "LIST", "15,10,7", "resolutions in A between the bins, falling, separated by commas"),
      tool_option("same-structures", flag, "", "no", "count only structures that the reference holds too"),
      tool_option("voxel", number, "A", "", 0.5, 10, "voxel size of shards that do not state theirs"),
      tool_option("out", path, "DIR", "", "folder for page, JSON and plots"),
      json_option("print JSON"),
  };
  return command;
}

}  // namespace cryored
