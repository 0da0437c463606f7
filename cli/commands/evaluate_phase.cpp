// cryored evaluate phase: methods of phase retrieval on exposures whose phases are known.

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <set>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/installation.hpp"
#include "cli/phase_library.hpp"
#include "cli/phase_methods.hpp"
#include "cli/phase_optics_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/sha256.hpp"
#include "core/fourier/fft.hpp"
#include "evaluation/phase_json.hpp"
#include "evaluation/phase_page.hpp"
#include "evaluation/refine_page.hpp"
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

Json to_json(const PhaseSceneOptions& o) {
  return {{"box", o.box},
          {"pixel_size_A", o.pixel_size},
          {"voltage_kV", o.ctf.voltage},
          {"spherical_aberration_mm", o.ctf.spherical_aberration},
          {"amplitude_contrast", o.ctf.amplitude_contrast},
          {"defocus_A", {o.least_defocus, o.most_defocus}},
          {"ice_A", o.ice},
          {"b_factor_A2", o.b_factor},
          {"views", o.views},
          {"exposures", o.exposures},
          {"blanks", o.blanks},
          {"seed", o.seed}};
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

struct Molecule {
  std::string name, path, sha256;
  Structure structure;
  std::size_t other = 0;  ///< index of the wrong molecule
};

/// Those to evaluate, and behind them the one of --other.
std::vector<Molecule> molecules_of(const Settings& settings, const PhaseSceneOptions& scene) {
  std::vector<Molecule> all;
  std::vector<std::string> paths = settings.arguments;
  const std::string other = settings.text("other");
  if (paths.size() < 2 && other.empty())
    throw UsageError(Problem{"cryored evaluate phase", "structures", std::to_string(paths.size()),
                             "two or more, each the wrong molecule of the one before; or one, and --other", ""});
  if (!other.empty()) paths.push_back(settings.surroundings.resolve(other));
  for (const std::string& path : paths) {
    Molecule m{structure_id(path), path, "", read_structure(path), 0};
    m.sha256 = sha256_file(path);
    for (const Molecule& before : all)
      if (before.name == m.name && all.size() < settings.arguments.size())
        throw UsageError(Problem{path, "name", m.name + " twice", "structures whose file names differ", "rename one"});
    if (2 * m.structure.radius > static_cast<double>(scene.box) * scene.pixel_size)
      std::cerr << fmt::format("cryored: warning: {} has a diameter of {:.0f} A and does not fit the box of {:.0f} A\n",
                               m.name, 2 * m.structure.radius, static_cast<double>(scene.box) * scene.pixel_size);
    all.push_back(std::move(m));
  }
  const std::size_t count = settings.arguments.size();
  for (std::size_t i = 0; i < count; ++i) all[i].other = other.empty() ? (i + 1) % count : count;
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
      : settings_(settings),
        spec_(spec),
        out_(fs::absolute(settings.surroundings.resolve(settings.text("out")))),
        threads_(settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors()),
        scene_(scene_options(settings)),
        doses_(doses_of(settings)),
        molecules_(molecules_of(settings, scene_)) {
    set_threads(threads_);
    methods_ = named_phase_methods(settings, "methods", threads_);
    candidate_ = settings.text("candidate");
    const auto is = [](const std::string& word) {
      return [word](const NamedPhaseMethod& m) { return m.word == word; };
    };
    if (!candidate_.empty() && std::none_of(methods_.begin(), methods_.end(), is(candidate_)))
      throw UsageError(
          Problem{"--candidate", "", candidate_, "one of --methods: " + settings.text("methods"), "add it there"});
    if (candidate_.empty())
      for (const NamedPhaseMethod& m : methods_)
        if (candidate_.empty() && !m.weights.empty()) candidate_ = m.word;
    for (const NamedPhaseMethod& m : methods_) results_.methods.push_back(m.word);
    results_.box = scene_.box;
    results_.pixel_size = scene_.pixel_size;
    results_.views = scene_.views;
    results_.exposures = scene_.exposures;
  }

  int run() {
    watch_signals();
    fs::create_directories(out_ / "scores");
    const std::size_t structures = settings_.arguments.size();
    for (std::size_t i = 0; i < structures; ++i) {
      for (const double dose : doses_) results_.cells.push_back(cell(i, dose));
      write();
    }
    line_.finish();
    std::cout << format_text_table(phase_table(results_)) << "\nsingle images\n"
              << format_text_table(phase_structure_table(results_, false)) << "\nmean of " << scene_.exposures << "\n"
              << format_text_table(phase_structure_table(results_, true));
    if (!candidate_.empty()) {
      std::cout << "\n" << format_text_table(phase_comparison_table(comparisons_)) << "\n";
      for (const std::string& line : verdict_lines(candidate_, comparisons_)) std::cout << line << "\n";
    }
    std::cout << "page: " << (out_ / "index.html").string() << std::endl;
    return 0;
  }

 private:
  Json key_of(const NamedPhaseMethod& m, const Molecule& molecule, double dose) const {
    Json key = {{"method", m.method->description()},
                {"structure_sha256", molecule.sha256},
                {"other_sha256", molecules_[molecule.other].sha256},
                {"dose", dose},
                {"scene", to_json(scene_)}};
    if (!m.weights_sha256.empty()) key["weights_sha256"] = m.weights_sha256;
    return key;
  }

  PhaseCell cell(std::size_t index, double dose) {
    const Molecule& molecule = molecules_[index];
    PhaseCell cell{molecule.name, dose, {}, {}};
    PhaseSceneOptions options = scene_;
    options.dose = dose;
    const SimulateExposures simulate = load_phase_library().simulate;
    const std::string folder = (out_ / "scores").string();
    PhaseScene scene;
    std::vector<Map> wrong;
    for (std::size_t m = 0; m < methods_.size(); ++m) {
      NamedPhaseMethod& method = methods_[m];
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
        wrong = true_phases(molecules_[molecule.other].structure, options, simulate, threads_);
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
    for (std::size_t m = method; m < methods_.size(); ++m) left += pace_.of(methods_[m].word);
    double whole = pace_.of("");
    for (const NamedPhaseMethod& m : methods_) whole += pace_.of(m.word);
    const std::size_t total = settings_.arguments.size() * doses_.size(), done = results_.cells.size();
    left += whole * static_cast<double>(total - done - 1);
    line_.show(fmt::format("[{}/{}] {}, {:g} e/A^2", done + 1, total, molecules_[structure].name, dose),
               what + (left > 0 ? ", about " + duration(left) + " left" : ""));
  }

  void compare() {
    comparisons_.clear();
    if (candidate_.empty()) return;
    const auto mine = static_cast<std::size_t>(std::find(results_.methods.begin(), results_.methods.end(), candidate_) -
                                               results_.methods.begin());
    for (const bool mean : {false, true})
      for (const PhaseCell& cell : results_.cells)
        for (std::size_t m = 0; m < methods_.size(); ++m) {
          if (m == mine) continue;
          PhaseComparison c = compare_phases(cell.scores[mine], cell.scores[m], scene_.exposures, mean);
          c.structure = cell.structure;
          c.dose = cell.dose;
          c.baseline = methods_[m].word;
          comparisons_.push_back(std::move(c));
        }
  }

  void write() {
    compare();
    const BuildInfo build = build_info();
    Json json = {{"schema", "cryored-phase-evaluation"},
                 {"version", 1},
                 {"program", {{"version", build.version}, {"commit", build.commit}}},
                 {"command", command_line(spec_, settings_)},
                 {"scene", to_json(scene_)},
                 {"doses", doses_},
                 {"methods", Json::array()},
                 {"structures", Json::array()},
                 {"medians", Json::array()},
                 {"cells", Json::array()}};
    for (const NamedPhaseMethod& m : methods_) {
      json["methods"].push_back({{"name", m.word}, {"description", m.method->description()}});
      if (!m.weights.empty()) {
        json["methods"].back()["weights"] = m.weights;
        json["methods"].back()["weights_file_sha256"] = m.weights_sha256;
      }
    }
    for (std::size_t i = 0; i < settings_.arguments.size(); ++i)
      json["structures"].push_back({{"name", molecules_[i].name},
                                    {"sha256", molecules_[i].sha256},
                                    {"radius_A", molecules_[i].structure.radius},
                                    {"wrong_molecule", molecules_[molecules_[i].other].name}});
    for (const double dose : doses_)
      for (std::size_t m = 0; m < methods_.size(); ++m) {
        std::vector<const PhaseScore*> scores;
        for (const PhaseCell& cell : results_.cells)
          if (cell.dose == dose) scores.push_back(&cell.scores[m]);
        json["medians"].push_back(
            {{"dose", dose}, {"method", methods_[m].word}, {"score", cryored::to_json(summarise(scores))}});
      }
    for (const PhaseCell& cell : results_.cells)
      for (std::size_t m = 0; m < methods_.size(); ++m)
        json["cells"].push_back({{"structure", cell.structure},
                                 {"dose", cell.dose},
                                 {"method", methods_[m].word},
                                 {"median", cryored::to_json(summarise({&cell.scores[m]}))},
                                 {"particles", cryored::to_json(cell.scores[m])}});
    if (!candidate_.empty()) {
      json["candidate"] = candidate_;
      json["goals"] = {{"area_ratio", PhaseGoals{}.area_ratio}, {"frc_0.5", "not worse"}};
      json["comparisons"] = Json::array();
      for (const PhaseComparison& c : comparisons_) json["comparisons"].push_back(cryored::to_json(c));
      json["verdict"] = verdict_lines(candidate_, comparisons_);
    }
    write_text_atomically((out_ / "results.json").string(), json.dump(1) + "\n");
    write_text_atomically((out_ / "index.html").string(), page().html());
    const GreyImage mosaic = phase_mosaic(results_, molecules_[0].name);
    write_text_atomically((out_ / "figure.png").string(), encode_png(mosaic));
  }

  ReportPage page() const {
    ReportPage page("Phase retrieval against known phases",
                    fmt::format("Simulated exposures of {} structures in ice: {} views of each, {} exposures of each "
                                "view, box {} at {:g} A, "
                                "{:g} kV, Cs {:g} mm, amplitude contrast {:g}, defocus {} A. Fourier ring correlation "
                                "with the true phase of "
                                "the exit wave under a soft disc; area: its mean over all rings to Nyquist.",
                                settings_.arguments.size(), scene_.views, scene_.exposures, scene_.box,
                                scene_.pixel_size, scene_.ctf.voltage, scene_.ctf.spherical_aberration,
                                scene_.ctf.amplitude_contrast, settings_.text("defocus")));
    page.heading("All structures");
    page.table(phase_table(results_));
    page.paragraph(
        "Medians over all particles. In outline: the same under the outline of the truth instead of the disc, so that "
        "finding out where the particle is not brings nothing. Contrast: (mean on the particle - mean outside the "
        "disc) / SD outside. Blank: "
        "exposures of ice "
        "alone; their power in the disc over that with the particle, the area of the FRC of what is made of them with "
        "the truth, and of two of them with each other: what a method paints on nothing. Wrong molecule: by how much "
        "the "
        "area of the FRC with another molecule exceeds what both truths share, in the view where it is largest; noise "
        "alone makes that larger than 0, compare with the filters.");
    page.heading("Single images, by structure");
    page.table(phase_structure_table(results_, false));
    page.heading(fmt::format("Mean of {}, by structure", scene_.exposures));
    page.table(phase_structure_table(results_, true));
    if (!candidate_.empty()) {
      page.heading("Verdict on " + phase_method_title(candidate_));
      for (const std::string& line : verdict_lines(candidate_, comparisons_)) page.paragraph(line);
      page.table(phase_comparison_table(comparisons_));
      page.paragraph("95 %: views drawn anew. Larger in: share of the same particles whose area is larger.");
    }
    add_phase_sections(page, results_);
    page.heading("How it was run");
    page.code(command_line(spec_, settings_));
    for (const NamedPhaseMethod& m : methods_)
      page.paragraph(m.word + ": " + m.method->description() +
                     (m.weights_sha256.empty() ? "" : ", SHA-256 of the weights file " + m.weights_sha256));
    return page;
  }

  const Settings& settings_;
  const CommandSpec& spec_;
  fs::path out_;
  int threads_;
  PhaseSceneOptions scene_;
  std::vector<double> doses_;
  std::vector<Molecule> molecules_;
  std::vector<NamedPhaseMethod> methods_;
  std::string candidate_;
  PhaseResults results_;
  std::vector<PhaseComparison> comparisons_;
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
