// cryored-phase-score: the methods of cryored phase on simulated exposures whose phases are known; also the search of
// their parameters.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "benchmarks/phase/score.hpp"
#include "cli/run_program.hpp"
#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "models/imaging/wave_methods.hpp"
#include "preprocessing/phase/filters.hpp"
#include "simulation/structures.hpp"

namespace {

using namespace cryored;
using Json = nlohmann::ordered_json;

/// A method with numbers, as --methods and --search name it: "wiener:10:100".
struct Candidate {
  std::string text;
  std::unique_ptr<PhaseMethod> method;
};

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

Candidate candidate(const std::string& text, int threads) {
  const auto parts = split(text, ':');
  std::vector<double> n;
  const auto reject = [&] {
    throw UsageError(
        Problem{"--methods", "", text,
                "lowpass:A, flip, wiener:SNR:B, iterative:ROUNDS:A, tv:ROUNDS:STRENGTH, with commas between",
                "see cryored phase --help for the numbers"});
  };
  for (std::size_t i = 1; i < parts.size(); ++i) {
    std::size_t used = 0;
    try {
      n.push_back(std::stod(parts[i], &used));
    } catch (const std::exception&) {
      reject();
    }
    if (used != parts[i].size()) reject();
  }
  const std::string name = parts.empty() ? "" : parts[0];
  const DeviceChoice cpu = choose_device("cpu", survey_gpus());
  if (name == "lowpass" && n.size() == 1 && n[0] > 0) return {text, make_lowpass({n[0]}, threads)};
  if (name == "flip" && n.empty()) return {text, make_flip(threads)};
  if (name == "wiener" && n.size() == 2 && n[0] > 0) return {text, make_wiener({n[0], n[1]}, threads)};
  if (name == "iterative" && n.size() == 2 && n[0] >= 1 && n[1] > 0)
    return {text, make_iterative({static_cast<int>(n[0]), n[1]}, cpu, threads)};
  if (name == "tv" && n.size() == 2 && n[0] >= 1 && n[1] >= 0)
    return {text, make_tv({static_cast<int>(n[0]), n[1]}, cpu, threads)};
  reject();
  return {};
}

Json to_json(const PhaseScore& s) {
  return {{"single_A", s.single_shell}, {"single_area", s.single_area}, {"mean_A", s.mean_shell},
          {"mean_area", s.mean_area},   {"contrast", s.contrast},       {"blank_power", s.blank_power},
          {"blank_area", s.blank_area}, {"wrong_area", s.wrong_area},   {"seconds_per_image", s.seconds}};
}

int work(const Settings& settings) {
  const int threads = usable_processors();
  set_threads(threads);
  SceneOptions options;
  options.setting = PhaseSetting::named(settings.text("setting"));
  if (settings.has("box")) options.setting.box = static_cast<std::size_t>(settings.integer("box"));
  options.views = static_cast<int>(settings.integer("views"));
  options.exposures = static_cast<int>(settings.integer("exposures"));
  options.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  std::vector<Candidate> candidates;
  for (const std::string& text : split(settings.text("methods"), ',')) candidates.push_back(candidate(text, threads));
  if (settings.arguments.size() < 2)
    throw UsageError(Problem{"cryored-phase-score", "arguments",
                             std::to_string(settings.arguments.size()) + " structures",
                             "two or more: each is the wrong molecule of the one before", ""});
  Json log{{"setting", options.setting.name}, {"box", options.setting.box}, {"views", options.views},
           {"exposures", options.exposures},  {"seed", options.seed},       {"scores", Json::array()}};
  std::cout << fmt::format("{:<24} {:>5} {:<8} | {:>7} {:>6} | {:>7} {:>6} | {:>6} {:>6} {:>6} {:>6} | {:>8}\n",
                           "method", "dose", "", "1: A", "area", "mean: A", "area", "contr", "blankP", "blankA",
                           "wrongA", "s/image");
  for (const std::string& dose : split(settings.text("doses"), ',')) {
    options.dose = std::stod(dose);
    std::vector<PhaseScene> scenes;
    for (const std::string& path : settings.arguments)
      scenes.push_back(make_scene(read_structure(path), structure_id(path), options));
    for (Candidate& c : candidates) {
      std::vector<PhaseScore> all;
      const auto print = [&](const std::string& name, const PhaseScore& s) {
        std::cout << fmt::format(
                         "{:<24} {:>5} {:<8} | {:7.1f} {:6.3f} | {:7.1f} {:6.3f} | {:6.2f} {:6.3f} {:6.3f} {:6.3f} "
                         "| {:8.4f}\n",
                         c.text, dose, name, s.single_shell, s.single_area, s.mean_shell, s.mean_area, s.contrast,
                         s.blank_power, s.blank_area, s.wrong_area, s.seconds)
                  << std::flush;
        log["scores"].push_back(
            {{"method", c.text}, {"dose", options.dose}, {"structure", name}, {"score", to_json(s)}});
      };
      for (std::size_t i = 0; i < scenes.size(); ++i) {
        all.push_back(score_method(*c.method, scenes[i], scenes[(i + 1) % scenes.size()]));
        print(scenes[i].structure, all.back());
      }
      PhaseScore m;
      for (double PhaseScore::*field : {&PhaseScore::single_shell, &PhaseScore::single_area, &PhaseScore::mean_shell,
                                        &PhaseScore::mean_area, &PhaseScore::contrast, &PhaseScore::blank_power,
                                        &PhaseScore::blank_area, &PhaseScore::wrong_area, &PhaseScore::seconds}) {
        std::vector<double> values;
        for (const PhaseScore& s : all) values.push_back(s.*field);
        m.*field = median(values);
      }
      print("median", m);
    }
  }
  if (settings.has("json")) write_text_atomically(settings.text("json"), log.dump(2) + "\n");
  return 0;
}

CommandSpec spec() {
  CommandSpec s;
  s.program = "cryored-phase-score";
  s.arguments = "STRUCTURE STRUCTURE...";
  s.summary = "the methods of cryored phase on simulated exposures whose phases are known";
  s.details =
      "For each structure, views at random angles are exposed several times, with ice and counting noise. Printed are "
      "the "
      "FRC with the true phase under a soft mask (first crossing of 0.5 in A, and area: its mean over all rings to "
      "Nyquist) of a single exposure and of the mean of all exposures of a view, and what a method invents: blankP, "
      "the "
      "power it makes of ice alone relative to that with a particle; blankA, the area of the FRC of that with the "
      "truth; wrongA, the area of the FRC with the truth of the next structure, less what the two truths share. "
      "Medians "
      "over exposures and views. Several settings of one method make a search of its parameters.";
  s.minimum_arguments = 0;
  s.maximum_arguments = 10000;
  s.options = {tool_option("methods", OptionKind::text, "LIST", "lowpass:20,flip,wiener:10:100,iterative:10:10,tv:10:1",
                           "what is scored, with commas between: lowpass:A, flip, wiener:SNR:B, iterative:ROUNDS:A, "
                           "tv:ROUNDS:STRENGTH"),
               tool_option("setting", OptionKind::text, "NAME", "paper", "optics, defocus, ice: paper or general"),
               tool_option("box", OptionKind::integer, "N", "", 16, 4096, "pixels, instead of the setting's"),
               tool_option("doses", OptionKind::text, "LIST", "20,40", "electrons / A^2, with commas between"),
               tool_option("views", OptionKind::integer, "N", "2", 1, 1000, "random angles per structure"),
               tool_option("exposures", OptionKind::integer, "N", "10", 1, 400, "of each view"),
               tool_option("seed", OptionKind::integer, "N", "1", 0, 1e9, "of angles, ice and noise"),
               tool_option("json", OptionKind::path, "FILE", "", "write all scores as JSON")};
  return s;
}

}  // namespace

int main(int argc, char** argv) { return run_tool(spec(), argc, argv, work); }
