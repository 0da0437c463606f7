// cryored evaluate phase-relion: what RELION makes of particle images that cryored phase has processed.

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/installation.hpp"
#include "cli/phase_library.hpp"
#include "cli/phase_methods.hpp"
#include "cli/phase_optics_options.hpp"
#include "cli/progress.hpp"
#include "cli/run_program.hpp"
#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/base/folder_lock.hpp"
#include "core/base/json_text.hpp"
#include "core/base/sha256.hpp"
#include "core/fourier/fft.hpp"
#include "evaluation/cell.hpp"
#include "evaluation/phase_page.hpp"
#include "evaluation/phase_relion_page.hpp"
#include "evaluation/phase_stack.hpp"
#include "evaluation/refine_page.hpp"
#include "evaluation/relion_run.hpp"
#include "preprocessing/phase/run.hpp"
#include "simulation/data_set.hpp"
#include "simulation/structures.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

[[noreturn]] void stop_interrupted() {
  throw Error({"cryored evaluate phase-relion", "", "interrupted", "", "run the same command again to continue"});
}

PhaseStackOptions stack_options(const Settings& settings) {
  PhaseStackOptions o;
  take_phase_optics(settings, o);
  o.count = static_cast<int>(settings.integer("count"));
  o.dose = settings.number("dose");
  return o;
}

Json to_json(const PhaseStackOptions& o, const std::string& structure) {
  Json json = {
      {"structure_sha256", sha256_file(structure)}, {"box", o.box}, {"pixel_size_A", o.pixel_size}, {"count", o.count}};
  json.update(optics_json(o));
  json.update(Json{{"dose", o.dose}, {"shift_sigma_A", o.shift}, {"seed", o.seed}});
  return json;
}

class Run {
 public:
  explicit Run(const Settings& settings)
      : settings_(settings),
        out_(fs::absolute(settings.surroundings.resolve(settings.text("out"))).lexically_normal()),
        threads_(settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors()),
        options_(stack_options(settings)),
        structure_(read_structure(settings.arguments.at(0))) {
    set_threads(threads_);
    methods_ = named_phase_methods(settings, "methods", threads_);
    if (2 * structure_.radius > static_cast<double>(options_.box) * options_.pixel_size)
      throw UsageError(
          Problem{settings.arguments[0], "diameter", fmt::format("{:.0f} A", 2 * structure_.radius),
                  fmt::format("at most the box of {:g} A", static_cast<double>(options_.box) * options_.pixel_size),
                  "give a larger --box"});
    stages_ = 2 + 4 * methods_.size();
  }

  int run() {
    fs::create_directories(out_);
    const FolderLock lock((out_ / ".lock").string(), out_.string(), "works in it");
    watch_signals();
    simulate();
    truth_ = read_truth((out_ / "particles").string());
    // RELION wants the mask inside the box; its soft edge takes five pixels on each side.
    diameter_ = std::min(std::ceil(2 * structure_.radius + 10),
                         std::floor((static_cast<double>(options_.box) - 10) * options_.pixel_size));
    for (NamedPhaseMethod& m : methods_) {
      process(m);
      classify();
      refine();
      reconstruct();
      write();
    }
    stage("known poses");
    fs::create_directories(out_ / "known");
    if (!reconstruct_raw(particles("particles_truth.star"), (out_ / "known").string(), "map", truth_, known_,
                         interrupted))
      stop_interrupted();
    write();
    line_.finish();
    std::cout << format_text_table(phase_relion_table(variants_, known_)) << "page: " << (out_ / "index.html").string()
              << std::endl;
    return 0;
  }

 private:
  std::string particles(const char* name) const { return (out_ / "particles" / name).string(); }

  void stage(const std::string& what) {
    if (interrupted()) stop_interrupted();
    stage_ = fmt::format("[{}/{}] {}", ++stage_number_, stages_, what);
    line_.show(stage_, "begins");
  }

  void simulate() {
    stage("particles");
    const std::string asked = (out_ / "particles" / "dataset.json").string();
    fs::create_directories(out_ / "particles");
    hold_to_options(asked, json_text(to_json(options_, settings_.arguments[0])));
    if (fs::exists(particles("particles.star"))) return;
    if (!make_phase_stack(
            structure_, options_, (out_ / "particles").string(), load_phase_library().simulate, threads_,
            [&](int done) { line_.show(stage_, fmt::format("{} of {}", done, options_.count)); }, interrupted))
      stop_interrupted();
  }

  std::string folder(const std::string& part) const {
    return (out_ / methods_[variants_.size() - 1].file_name() / part).string();
  }

  void process(NamedPhaseMethod& m) {
    stage("cryored phase, " + m.word);
    PhaseRelionResult v;
    v.title = m.word == "raw" ? "raw images" : phase_method_title(m.word);
    v.method = m.method->description();
    v.weights_sha256 = m.weights_sha256;
    v.stack.name = m.word;
    if (m.ctf != CtfState::corrected) v.stack.options = {"--ctf"};
    if (m.ctf == CtfState::flipped) v.stack.options.push_back("--ctf_phase_flipped");
    // A network leaves hardly any background, of which RELION warns otherwise.
    if (!m.weights.empty()) v.stack.options.push_back("--dont_check_norm");
    variants_.push_back(v);
    PhaseVariant& stack = variants_.back().stack;
    if (m.word == "raw") {
      stack.star = particles("particles.star");
      stack.stack = "particles.mrcs";
      return;
    }
    PhaseRunOptions o;
    o.input = particles("particles.star");
    o.output = folder("phase");
    o.program_version = build_info().version;
    o.ctf = m.ctf;
    o.dose = options_.dose;
    o.particle_diameter = diameter_;
    o.raw_names = false;  // the poses are put on the raw images below
    o.progress = [&](const PhaseProgress& p) { line_.show(stage_, fmt::format("{} of {}", p.done, p.total)); };
    stack.star = (fs::path(o.output) / "particles.star").string();
    stack.stack = "phases_1.mrcs";
    const std::string kept = m.method->description() + " " + m.weights_sha256;
    fs::create_directories(o.output);
    hold_to_options(o.output + ".json", json_text(Json({{"method", kept}})));
    if (!fs::exists(stack.star) || !fs::exists(fs::path(o.output) / stack.stack)) run_phase(o, *m.method);
  }

  /// What RELION has made in a folder is taken over only if it was asked for the same.
  void hold_job_to(const std::string& part, const Json& wanted, const Json& changeable) const {
    const std::string asked = folder(part) + ".json";
    fs::create_directories(fs::path(asked).parent_path());
    if (fs::exists(folder(part)) && !fs::exists(asked))
      throw InputError(Problem{folder(part), "options of RELION", "not recorded, as by older versions",
                               asked + " beside it",
                               "remove " + (out_ / methods_[variants_.size() - 1].file_name()).string() +
                                   " and run the same command again"});
    hold_to_options(asked, json_text(wanted), json_text(changeable));
  }

  void classify() {
    PhaseRelionResult& v = variants_.back();
    stage("2D classes, " + v.title);
    Class2dOptions o;
    o.classes = static_cast<int>(settings_.integer("classes"));
    o.iterations = static_cast<int>(settings_.integer("class-iterations"));
    o.threads = threads_;
    o.random_seed = static_cast<int>(settings_.integer("seed"));
    o.diameter = diameter_;
    hold_job_to("class2d",
                {{"classes", o.classes},
                 {"random_seed", o.random_seed},
                 {"particle_diameter_A", o.diameter},
                 {"relion_options", v.stack.options}},
                {{"iterations", o.iterations}});
    if (!run_class2d(
            v.stack, o, folder("class2d"), [&](const std::string& text) { line_.show(stage_, text); }, interrupted))
      stop_interrupted();
    v.averages = (fs::path(folder("class2d")) / fmt::format("run_it{:03}_classes.mrcs", o.iterations)).string();
    v.classes = score_class2d(folder("class2d"), o.iterations, v.stack, truth_);
  }

  void refine() {
    PhaseRelionResult& v = variants_.back();
    stage("3D refinement, " + v.title);
    RelionJob job;
    job.folder = folder("refine");
    job.particles = v.stack.star;
    job.reference = particles("truth.mrc");  // low-passed by --ini_high
    RelionOptions& o = job.options;
    o.ranks = static_cast<int>(settings_.integer("ranks"));
    o.particle_diameter = diameter_;
    o.initial_resolution = 30;
    o.healpix_order = static_cast<int>(settings_.integer("healpix-order"));
    o.local_healpix_order = static_cast<int>(settings_.integer("local-healpix-order"));
    o.max_iterations = static_cast<int>(settings_.integer("max-iterations"));
    o.random_seed = static_cast<int>(settings_.integer("seed"));
    // Processed images have a scale of their own. The start map is the structure, not seen through a CTF.
    o.extra = {"--firstiter_cc"};
    o.extra.insert(o.extra.end(), v.stack.options.begin(), v.stack.options.end());
    if (methods_[variants_.size() - 1].ctf != CtfState::corrected) o.extra.push_back("--ctf_corrected_ref");
    RelionJob endless = job;
    endless.options.max_iterations = 0;
    Json words = Json::array();
    for (const std::string& word : relion_command(endless, {})) words.push_back(without_folders(word));
    hold_job_to("refine", {{"command", words}}, {{"max_iterations", o.max_iterations}});
    const RunEnd end = run_relion(
        job, [&](const RunProgress& p) { line_.show(stage_, progress_text(p, o)); }, interrupted);
    if (end == RunEnd::cancelled) stop_interrupted();
    v.end = describe(end);
    v.seconds = read_timeline(job.folder).total_seconds;
    Truth renamed = truth_;
    for (Pose& pose : renamed.poses) pose.stack = v.stack.stack;
    v.refined = score_refinement(job.folder, renamed);
  }

  void reconstruct() {
    PhaseRelionResult& v = variants_.back();
    stage("raw images in the poses of " + v.title);
    const std::string refined = folder("refine");
    const auto joined = joined_result(refined);
    const std::string data = joined ? *joined + "_data.star" : finished_iterations(refined).back().data();
    const std::string star = folder("raw_in_these_poses.star");
    write_raw_poses(data, particles("particles.star"), star);
    if (!reconstruct_raw(star, folder("map"), "map", truth_, v.raw_map, interrupted)) stop_interrupted();
  }

  void write() const {
    const BuildInfo build = build_info();
    Json json = {{"schema", "cryored-phase-relion"},
                 {"version", 1},
                 {"program", {{"version", build.version}, {"commit", build.commit}}},
                 {"structure", structure_id(settings_.arguments[0])},
                 {"particles", to_json(options_, settings_.arguments[0])},
                 {"variants", Json::parse(phase_relion_json(variants_))}};
    if (!known_.map.fsc.empty()) json["known_poses"] = Json::parse(score_json(known_.map));
    write_text_atomically((out_ / "results.json").string(), json_text(json, 1) + "\n");

    ReportPage page(
        "RELION on processed particle images",
        fmt::format("{}: {} simulated particles, box {} at {:g} A, {:g} e/A^2, defocus {} A. 2D classes and "
                    "3D refinement by RELION of each stack; the raw images are reconstructed in the poses "
                    "that it found.",
                    structure_id(settings_.arguments[0]), options_.count, options_.box, options_.pixel_size,
                    options_.dose, settings_.text("defocus")));
    add_phase_relion_sections(page, variants_, known_, options_.box, options_.pixel_size);
    write_text_atomically((out_ / "index.html").string(), page.html());
  }

  const Settings& settings_;
  fs::path out_;
  int threads_;
  PhaseStackOptions options_;
  Structure structure_;
  std::vector<NamedPhaseMethod> methods_;
  double diameter_ = 0;
  Truth truth_;
  std::vector<PhaseRelionResult> variants_;
  RawMapScore known_;
  ProgressLine line_;
  std::string stage_;
  std::size_t stage_number_ = 0, stages_ = 0;
};

int run(const Settings& settings) { return Run(settings).run(); }

}  // namespace

Command evaluate_phase_relion_command() {
  using enum OptionKind;
  Command command{"evaluate phase-relion", {}, run};
  CommandSpec& spec = command.spec;
  spec.program = "cryored evaluate phase-relion";
  spec.arguments = "STRUCTURE";
  spec.summary = "What RELION makes of processed particle images: classes, poses, and the raw images in these poses";
  spec.details =
      "Simulates a particle stack with wave optics, ice and counting noise, processes it with each method as cryored "
      "phase does, and lets RELION (relion_refine) make 2D classes and refine poses in 3D, from the structure at 30 A, "
      "on each of the stacks, with the options that docs/phase.md names. relion_reconstruct --ctf then reconstructs "
      "the "
      "raw images in the poses found; that map is compared with the structure, as is the one in the true poses.\n\n"
      "Results: <out>/index.html, <out>/results.json. What is finished is not done again; an interrupted refinement "
      "continues with RELION's last finished iteration.";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 1;
  spec.options = {
      tool_option("out", path, "DIR", "phase-relion", "output folder"),
      tool_option("methods", text, "LIST", "raw,wiener:10:100",
                  std::string(kPhaseMethodWords) + "; with commas between"),
      tool_option("count", integer, "N", "600", 20, 1e6, "particles"),
      tool_option("dose", number, "E", "40", 0.01, 1e4, "electrons / A^2"),
      tool_option("seed", integer, "N", "1", 0, 1e9, "of everything that is drawn, RELION's too"),
      tool_option("classes", integer, "N", "8", 1, 1000, "2D classes"),
      tool_option("class-iterations", integer, "N", "10", 1, 200, "of the 2D classification"),
      tool_option("max-iterations", integer, "N", "6", 1, 999, "of the 3D refinement"),
      tool_option("healpix-order", integer, "N", "2", 0, 6, "first angular sampling: 1 is 30, 2 is 15 degrees"),
      tool_option("local-healpix-order", integer, "N", "3", 1, 9,
                  "angular sampling from which searches are local: 4 is 3.75 degrees (RELION's default), 3 is 7.5"),
      tool_option("ranks", integer, "N", "3", 3, 129, "MPI ranks of the refinement: one leader, two or more followers"),
      tool_option("weights", path, "FILE", "",
                  "pinn: its weights, a file or the name of one that cryored weights lists; without it phase-general, "
                  "which is shipped"),
      precision_option(),
      device_option(),
      threads_option(),
  };
  const std::vector<OptionSpec> optics = phase_optics_specs(PhaseStackOptions());
  spec.options.insert(spec.options.begin() + 3, optics.begin(), optics.end());
  return command;
}

}  // namespace cryored
