// cryored evaluate phase: methods of phase retrieval on exposures whose phases are known.

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/phase_evaluation.hpp"
#include "cli/phase_library.hpp"
#include "cli/phase_optics_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/sha256.hpp"
#include "core/fourier/fft.hpp"
#include "evaluation/phase_json.hpp"
#include "evaluation/phase_page.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

PhaseSceneOptions scene_options(const Settings& settings) {
  PhaseSceneOptions o;
  take_phase_optics(settings, o);
  o.views = static_cast<int>(settings.integer("views"));
  o.exposures = static_cast<int>(settings.integer("exposures"));
  o.blanks = static_cast<int>(settings.integer("blanks"));
  return o;
}

std::vector<double> doses_of(const Settings& settings) {
  std::vector<double> doses;
  const OptionSpec one = tool_option("doses", OptionKind::number, "E", "", 0.01, 1e4, "");
  for (const std::string& text : split_words(settings.text("doses"), ',')) {
    check_value(one, text, {SourceLevel::command_line, "--doses"});
    doses.push_back(std::stod(text));
  }
  if (doses.empty() || std::set<double>(doses.begin(), doses.end()).size() != doses.size())
    throw UsageError(Problem{"--doses", "", settings.text("doses"), "one or more numbers, each once", ""});
  return doses;
}

/// Those to evaluate, and behind them the one of --other.
std::vector<EvaluatedMolecule> molecules_of(const Settings& settings, const PhaseSceneOptions& scene) {
  std::vector<EvaluatedMolecule> all;
  std::vector<std::string> paths = settings.arguments;
  const std::string other = settings.text("other");
  if (paths.size() < 2 && other.empty())
    throw UsageError(Problem{"cryored evaluate phase", "structures", std::to_string(paths.size()),
                             "two or more, each the wrong molecule of the one before; or one, and --other", ""});
  if (!other.empty()) paths.push_back(settings.surroundings.resolve(other));
  for (const std::string& path : paths) {
    EvaluatedMolecule m{structure_id(path), path, "", read_structure(path), 0};
    m.sha256 = sha256_file(path);
    for (const EvaluatedMolecule& before : all)
      if (before.name == m.name && all.size() < settings.arguments.size())
        throw UsageError(Problem{path, "name", m.name + " twice", "structures whose file names differ", "rename one"});
    if (2 * m.structure.radius > static_cast<double>(scene.box) * scene.pixel_size)
      std::cerr << fmt::format("cryored: warning: {} has a diameter of {:.0f} A and does not fit the box of {:.0f} A\n",
                               m.name, 2 * m.structure.radius, static_cast<double>(scene.box) * scene.pixel_size);
    all.push_back(std::move(m));
  }
  const std::size_t count = settings.arguments.size();
  for (std::size_t i = 0; i < count; ++i) {
    all[i].other = other.empty() ? (i + 1) % count : count;
    // What a method takes from its own molecule would count as invented.
    if (const EvaluatedMolecule& wrong = all[all[i].other]; wrong.sha256 == all[i].sha256)
      throw UsageError(Problem{other.empty() ? "cryored evaluate phase" : "--other", "", wrong.path,
                               "another molecule than " + all[i].path + ", whose file is the same",
                               "give another structure as the wrong one"});
  }
  return all;
}

std::string command_line(const CommandSpec& spec, const Settings& settings) {
  std::string text = spec.program;
  for (const std::string& argument : settings.arguments) text += " " + argument;
  for (const OptionSpec& option : spec.options)
    if (settings.given(option.name)) text += " --" + option.name + " " + settings.text(option.name);
  return text;
}

/// How long methods take, for the time that is left.
class Pace {
 public:
  void note(const std::string& what, double seconds) {
    auto& [sum, count] = taken_[what];
    sum += seconds;
    ++count;
  }
  double of(const std::string& what) const {
    if (const auto found = taken_.find(what); found != taken_.end()) return found->second.first / found->second.second;
    double sum = 0;
    for (const auto& [name, t] : taken_) sum += t.first / t.second;
    return taken_.empty() ? 0 : sum / static_cast<double>(taken_.size());
  }

 private:
  std::map<std::string, std::pair<double, double>> taken_;
};

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Evaluation {
 public:
  explicit Evaluation(const Settings& settings, const CommandSpec& spec)
      : out_(fs::absolute(settings.surroundings.resolve(settings.text("out")))),
        threads_(settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors()) {
    evaluation_.command = command_line(spec, settings);
    evaluation_.scene = scene_options(settings);
    evaluation_.defocus = settings.text("defocus");
    evaluation_.doses = doses_of(settings);
    evaluation_.molecules = molecules_of(settings, evaluation_.scene);
    evaluation_.structures = settings.arguments.size();
    set_threads(threads_);
    evaluation_.methods = named_phase_methods(settings, "methods", threads_);
    evaluation_.candidate = settings.text("candidate");
    const auto is = [](const std::string& word) {
      return [word](const NamedPhaseMethod& m) { return m.word == word; };
    };
    if (!evaluation_.candidate.empty() &&
        std::none_of(evaluation_.methods.begin(), evaluation_.methods.end(), is(evaluation_.candidate)))
      throw UsageError(Problem{"--candidate", "", evaluation_.candidate,
                               "one of --methods: " + settings.text("methods"), "add it there"});
    if (evaluation_.candidate.empty())
      for (const NamedPhaseMethod& m : evaluation_.methods)
        if (evaluation_.candidate.empty() && !m.weights.empty()) evaluation_.candidate = m.word;
    for (const NamedPhaseMethod& m : evaluation_.methods) evaluation_.results.methods.push_back(m.word);
    evaluation_.results.box = evaluation_.scene.box;
    evaluation_.results.pixel_size = evaluation_.scene.pixel_size;
    evaluation_.results.views = evaluation_.scene.views;
    evaluation_.results.exposures = evaluation_.scene.exposures;
  }

  int run() {
    watch_signals();
    fs::create_directories(out_ / "scores");
    for (std::size_t i = 0; i < evaluation_.structures; ++i) {
      for (const double dose : evaluation_.doses) evaluation_.results.cells.push_back(cell(i, dose));
      write();
    }
    line_.finish();
    std::cout << format_text_table(phase_table(evaluation_.results)) << "\nsingle images\n"
              << format_text_table(phase_structure_table(evaluation_.results, false)) << "\nmean of "
              << evaluation_.scene.exposures << "\n"
              << format_text_table(phase_structure_table(evaluation_.results, true));
    if (!evaluation_.candidate.empty()) {
      std::cout << "\n";
      if (!evaluation_.comparisons.empty())
        std::cout << format_text_table(phase_comparison_table(evaluation_.comparisons)) << "\n";
      for (const std::string& line : verdict_lines(evaluation_.candidate, evaluation_.comparisons))
        std::cout << line << "\n";
    }
    std::cout << "page: " << (out_ / "index.html").string() << std::endl;
    return 0;
  }

 private:
  Json key_of(const NamedPhaseMethod& m, const EvaluatedMolecule& molecule, double dose) const {
    Json key = {{"method", m.method->description()},
                {"structure_sha256", molecule.sha256},
                {"other_sha256", evaluation_.molecules[molecule.other].sha256},
                {"dose", dose},
                {"scene", to_json(evaluation_.scene)}};
    if (!m.weights_sha256.empty()) key["weights_sha256"] = m.weights_sha256;
    return key;
  }

  PhaseCell cell(std::size_t index, double dose) {
    const EvaluatedMolecule& molecule = evaluation_.molecules[index];
    PhaseCell cell{molecule.name, dose, {}, {}};
    PhaseSceneOptions options = evaluation_.scene;
    options.dose = dose;
    const SimulateExposures simulate = load_phase_library().simulate;
    const std::string folder = (out_ / "scores").string();
    PhaseScene scene;
    std::vector<Map> wrong;
    for (std::size_t m = 0; m < evaluation_.methods.size(); ++m) {
      NamedPhaseMethod& method = evaluation_.methods[m];
      const std::string name = fmt::format("{}_dose{:g}_{}", molecule.name, dose, method.file_name());
      const Json key = key_of(method, molecule, dose);
      if (auto kept = kept_phase_score(folder, name, key)) {
        cell.scores.push_back(std::move(*kept));
        continue;
      }
      if (scene.views.empty()) {
        show(index, dose, m, "simulating");
        const auto start = std::chrono::steady_clock::now();
        scene = make_phase_scene(molecule.structure, options, simulate, threads_);
        wrong = true_phases(evaluation_.molecules[molecule.other].structure, options, simulate, threads_);
        pace_.note("", since(start));
      }
      show(index, dose, m, method.word);
      const auto start = std::chrono::steady_clock::now();
      cell.scores.push_back(score_phase_method(*method.method, scene, wrong));
      pace_.note(method.word, since(start));
      keep_phase_score(folder, name, key, cell.scores.back());
    }
    if (scene.views.empty()) {
      options.views = 1;
      cell.truth = std::move(true_phases(molecule.structure, options, simulate, 1)[0]);
    } else {
      cell.truth = std::move(scene.views[0].truth);
    }
    return cell;
  }

  void show(std::size_t structure, double dose, std::size_t method, const std::string& what) {
    if (interrupted())
      throw Error({"cryored evaluate phase", "", "interrupted", "", "run the same command again to continue"});
    double left = 0;
    for (std::size_t m = method; m < evaluation_.methods.size(); ++m) left += pace_.of(evaluation_.methods[m].word);
    double whole = pace_.of("");
    for (const NamedPhaseMethod& m : evaluation_.methods) whole += pace_.of(m.word);
    const std::size_t total = evaluation_.structures * evaluation_.doses.size(),
                      done = evaluation_.results.cells.size();
    left += whole * static_cast<double>(total - done - 1);
    line_.show(fmt::format("[{}/{}] {}, {:g} e/A^2", done + 1, total, evaluation_.molecules[structure].name, dose),
               what + (left > 0 ? ", about " + duration(left) + " left" : ""));
  }

  void write() {
    evaluation_.comparisons = compare_methods(evaluation_);
    write_text_atomically((out_ / "results.json").string(), json_text(evaluation_json(evaluation_), 1) + "\n");
    write_text_atomically((out_ / "index.html").string(), evaluation_page(evaluation_).html());
    const GreyImage mosaic = phase_mosaic(evaluation_.results, evaluation_.molecules[0].name);
    write_text_atomically((out_ / "figure.png").string(), encode_png(mosaic));
  }

  fs::path out_;
  int threads_;
  PhaseEvaluation evaluation_;
  ProgressLine line_;
  Pace pace_;
};

CommandSpec specification() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "cryored evaluate phase";
  spec.arguments = "STRUCTURE...";
  spec.summary = "Methods of cryored phase on simulated exposures whose phases are known";
  spec.details =
      "For each structure (PDB or mmCIF, may be .gz) views at random angles are exposed several times in ice, with "
      "counting noise, and every method retrieves the phase from each exposure. Scored are the FRC with the true phase "
      "under a soft disc (where it falls through 0.5, and its area), of single exposures and of the mean of all "
      "exposures "
      "of a view; contrast; and what a method invents, from exposures of ice alone and with another molecule's "
      "truth.\n\n"
      "With --candidate (the first pinn where there is one) one method is held against all others: area under the FRC "
      "1.05 times the other's or more, FRC 0.5 not worse; the misses are listed.\n\n"
      "Results: <out>/index.html, <out>/results.json, <out>/figure.png (the pictures of the first structure). What was "
      "scored is kept in <out>/scores and not computed again; an interrupted run continues when it is called again. "
      "docs/phase.md says what the figures mean.";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 1000;
  spec.options = {
      tool_option("out", path, "DIR", "phase-evaluation", "output folder"),
      tool_option("methods", text, "LIST", "raw,lowpass:16,flip,wiener:10:100,iterative:3:3,tv:3:0.5",
                  std::string(kPhaseMethodWords) + "; with commas between"),
      tool_option("candidate", text, "METHOD", "", "the method that is held against all others"),
      tool_option("doses", text, "LIST", "20,40", "electrons / A^2, with commas between"),
      tool_option("views", integer, "N", "8", 1, 1000, "random angles per structure, the same for all"),
      tool_option("exposures", integer, "N", "10", 1, 400, "of each view"),
      tool_option("blanks", integer, "N", "2", 0, 400, "exposures of ice alone, for each view"),
      tool_option("other", path, "STRUCTURE", "",
                  "the wrong molecule for all structures; without it the next structure in the list"),
      tool_option("seed", integer, "N", "1", 0, 1e9, "of angles, defoci, ice and noise"),
      tool_option("weights", path, "FILE", "",
                  "pinn: its weights, a file or the name of one that cryored weights lists; without it phase-general, "
                  "which is shipped"),
      precision_option(),
      device_option(),
      threads_option(),
  };
  PhaseSceneOptions usual;
  usual.ctf.voltage = 200;
  usual.ctf.spherical_aberration = 2;
  const std::vector<OptionSpec> optics = phase_optics_specs(usual);
  spec.options.insert(spec.options.begin() + 3, optics.begin(), optics.end());
  return spec;
}

int run(const Settings& settings) {
  const CommandSpec spec = specification();
  return Evaluation(settings, spec).run();
}

}  // namespace

Command evaluate_phase_command() { return {"evaluate phase", specification(), run}; }

}  // namespace cryored
