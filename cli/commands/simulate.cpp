// cryored simulate: particle stacks from structures.

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/signals.hpp"
#include "cli/simulation_options.hpp"
#include "cli/threads.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/fourier/fft.hpp"
#include "simulation/data_set.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

int run(const Settings& settings) {
  if (settings.text("out").empty())
    throw UsageError(Problem{"--out", "", "nothing", "a folder", "give it; see cryored simulate --help"});
  set_threads(settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors());
  ParticleOptions options = particle_options(settings);
  options.snr = settings.number("snr");
  if (options.factor > 0 && settings.given("snr"))
    throw UsageError(Problem{"--snr, --factor", "", "both", "one of them", "leave one out"});
  const bool json = settings.flag("json");
  nlohmann::ordered_json report = nlohmann::ordered_json::array();
  ProgressLine line;
  const fs::path out = settings.text("out");
  std::vector<std::string> temporary;
  for (const std::string& structure : settings.arguments)
    for (const char* name : {"particles.mrcs", "particles.star", "particles_truth.star", "truth.mrc", "initial.mrc",
                             "dataset.json", "complete"})
      temporary.push_back((out / structure_id(structure) / name).string());
  remove_temporary_files_on_signal(temporary);
  for (const std::string& structure : settings.arguments) {
    DataSet data;
    data.structure = structure;
    data.name = structure_id(structure);
    data.options = options;
    data.folder = (out / data.name).string();
    const auto begin = std::chrono::steady_clock::now();
    const bool made = prepare_data_set(
        data, [&](int done) { line.show(data.name, fmt::format("{} of {} particles", done, options.count)); });
    line.finish();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (json)
      report.push_back({{"structure", structure},
                        {"folder", data.folder},
                        {"particles", (fs::path(data.folder) / "particles.star").string()},
                        {"poses", (fs::path(data.folder) / "particles_truth.star").string()},
                        {"truth", (fs::path(data.folder) / "truth.mrc").string()},
                        {"start", (fs::path(data.folder) / "initial.mrc").string()},
                        {"mask_diameter_A", data.diameter},
                        {"snr", data.snr},
                        {"atoms_of_occupancy_0", data.without_occupancy},
                        {"made", made},
                        {"seconds", seconds},
                        {"options", nlohmann::ordered_json::parse(particle_options_json(options))}});
    else
      std::cout << fmt::format("{}: {} particles, SNR {:.4g}, {}{}\n", data.folder, options.count, data.snr,
                               made ? fmt::format("{:.1f} s", seconds) : std::string("there already"),
                               data.without_occupancy == 0
                                   ? std::string()
                                   : fmt::format(", {} atom{} of occupancy 0 left out", data.without_occupancy,
                                                 data.without_occupancy == 1 ? "" : "s"))
                << std::flush;
  }
  if (json) std::cout << json_text(report, 1) << "\n";
  return 0;
}

}  // namespace

Command simulate_command() {
  Command command{"simulate", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored simulate";
  spec.arguments = "STRUCTURE...";
  spec.summary = "Particle stacks from structures, as relion_refine takes them, with the truth beside";
  spec.details =
      "For each structure (PDB or mmCIF, may be .gz; the first model's atoms as the file has them, no assembly is "
      "built; "
      "waters, hydrogens and atoms of occupancy 0 left out) a folder DIR/ID with "
      "particles.mrcs and particles.star for RELION, particles_truth.star with the poses, truth.mrc and initial.mrc. "
      "The SNR is the variance of the signal, CTF included, over the whole image divided by that of the noise, which "
      "is 1. A folder that is complete is kept; the files are the same for every number of threads.";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 100000;
  spec.options = {tool_option("out", OptionKind::path, "DIR", "", "where the folders go (required)"),
                  tool_option("snr", OptionKind::number, "S", "0.1", 1e-6, 1e6, "signal variance over noise variance")};
  for (OptionSpec& option : particle_option_specs()) spec.options.push_back(std::move(option));
  spec.options.push_back(tool_option("threads", OptionKind::integer, "N", "", 1, 1024,
                                     "threads; without it the processors this process may use"));
  spec.options.push_back(json_option("print JSON: for each structure its files, the SNR and the options"));
  return command;
}

}  // namespace cryored
