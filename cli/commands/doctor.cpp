// cryored doctor: is everything in place, and who made the maps of a job?

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/doctor_job.hpp"
#include "cli/doctor_machine.hpp"
#include "core/base/json_text.hpp"
#include "core/reconstruct/guard.hpp"

namespace cryored {
namespace {

using Json = nlohmann::ordered_json;

const char* level_name(FindingLevel level) {
  return level == FindingLevel::good ? "good" : level == FindingLevel::note ? "note" : "problem";
}

const char* origin_name(MapOrigin origin) {
  switch (origin) {
    case MapOrigin::denoised:
      return "cryored, denoised";
    case MapOrigin::gaussian:
      return "cryored, Gaussian";
    case MapOrigin::other:
      return "not cryored";
    case MapOrigin::missing:
      return "no map";
  }
  return "";
}

std::string number_or_dash(double value, const char* format) {
  char text[32] = "-";
  if (value >= 0 && std::isfinite(value)) std::snprintf(text, sizeof text, format, value);
  return text;
}

struct Verdict {
  std::string text, remedy;
  bool problem = false;
};

Verdict judge(const JobReport& job) {
  int denoised = 0, gaussian = 0, other = 0, missing = 0;
  for (const auto& map : job.maps) {
    denoised += map.origin == MapOrigin::denoised;
    gaussian += map.origin == MapOrigin::gaussian;
    other += map.origin == MapOrigin::other;
    missing += map.origin == MapOrigin::missing;
  }
  const std::string variable = "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE";
  if (job.maps.empty()) {
    const bool asked = job.command_line.find("--external_reconstruct") != std::string::npos;
    return {"RELION called no external program in this job.",
            asked ? "the job has --external_reconstruct: see its run.err for why no iteration ended"
                  : "run the job with --external_reconstruct (again when continuing it, in RELION 4 and 5)",
            true};
  }
  const std::string counts = std::to_string(denoised + gaussian) + " of " + std::to_string(job.maps.size()) +
                             " maps were made by cryored, " + std::to_string(denoised) + " of them with the denoiser.";
  if (other > 0)
    return {counts,
            "where RELION ran its own program, " + variable +
                " was not set in the environment of its ranks: eval \"$(cryored env)\" before starting, and "
                "with mpirun over several machines add -x " +
                variable,
            true};
  if (!job.iterations_not_asked.empty())
    return {counts + " RELION made maps without asking any external program in iteration " +
                std::to_string(job.iterations_not_asked.front()) +
                (job.iterations_not_asked.size() > 1 ? " and others." : "."),
            "give --external_reconstruct again when continuing a job (RELION 4 and 5 forget it)", true};
  if (missing > 0) return {counts, "see the job's run.err unless it is still running", true};
  return {counts, "", false};
}

std::string kept_noise_text(const JobMap& map) {
  if (!map.kept_noise) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", *map.kept_noise);
  return text;
}

/// The map of the last iteration in which the denoiser kept most noise, or null; the final joined map, which has no
/// number, is not asked.
const JobMap* noisiest_map(const JobReport& job) {
  const JobMap* found = nullptr;
  for (const auto& map : job.maps) {
    if (!map.kept_noise || map.iteration < (found ? found->iteration : 0)) continue;
    if (!found || map.iteration > found->iteration || *map.kept_noise > *found->kept_noise) found = &map;
  }
  return found;
}

void print_job(const std::string& folder, const JobReport& job, const Verdict& verdict) {
  std::printf("%-9s  %-28s  %-18s  %6s  %10s  %10s  %7s  %s\n", "iteration", "map", "made by", "lambda", "resolution",
              "kept noise", "seconds", "note");
  for (const auto& map : job.maps)
    std::printf("%-9s  %-28s  %-18s  %6s  %10s  %10s  %7s  %s\n",
                map.iteration < 0 ? "-" : std::to_string(map.iteration).c_str(), map.name.c_str(),
                origin_name(map.origin), number_or_dash(map.lambda, "%.3f").c_str(),
                number_or_dash(map.resolution, "%.2f A").c_str(), kept_noise_text(map).c_str(),
                number_or_dash(map.seconds, "%.2f").c_str(), map.note.empty() ? map.device.c_str() : map.note.c_str());
  std::printf("%s\n", verdict.text.c_str());
  if (const JobMap* map = noisiest_map(job); map && keeps_noise(map->kept_noise))
    std::printf(
        "Warning: in the last iteration the denoiser kept noise (%.2f; %g or less where particles are aligned "
        "well). The half-map FSC may promise too much: compare a refinement without the denoiser, and ask the other "
        "half: cryored evaluate one-pass %s/%s_external_reconstruct.star\n",
        *map->kept_noise, kKeptNoiseBound, folder.c_str(), map->name.c_str());
  if (!verdict.remedy.empty()) std::printf("Remedy: %s\n", verdict.remedy.c_str());
  std::fflush(stdout);
}

Json to_json(const JobReport& job, const Verdict& verdict) {
  Json out{{"good", !verdict.problem}, {"text", verdict.text}, {"remedy", verdict.remedy}};
  out["maps"] = Json::array();
  for (const auto& map : job.maps)
    out["maps"].push_back({{"iteration", map.iteration},
                           {"name", map.name},
                           {"made_by", origin_name(map.origin)},
                           {"lambda", map.lambda < 0 ? Json() : Json(map.lambda)},
                           {"resolution_A", map.resolution < 0 ? Json() : Json(map.resolution)},
                           {"kept_noise", map.kept_noise ? Json(*map.kept_noise) : Json()},
                           {"device", map.device},
                           {"note", map.note}});
  out["iterations_not_asked"] = job.iterations_not_asked;
  out["command_line"] = job.command_line;
  return out;
}

int run(const Settings& settings) {
  const bool json = settings.flag("json");
  if (!settings.arguments.empty()) {
    const JobReport job = examine_job(settings.arguments[0]);
    const Verdict verdict = judge(job);
    if (json)
      std::cout << json_text(to_json(job, verdict), 2) << "\n";
    else
      print_job(settings.arguments[0], job, verdict);
    return verdict.problem ? 1 : 0;
  }
  const bool by_variable = settings.source("weights").level == SourceLevel::environment;  // may name a folder
  const auto findings = examine_machine(settings.text("device"), by_variable ? "" : settings.text("weights"));
  int problems = 0;
  Json out = Json::array();
  for (const auto& finding : findings) {
    problems += finding.level == FindingLevel::problem;
    out.push_back({{"subject", finding.subject},
                   {"level", level_name(finding.level)},
                   {"text", finding.text},
                   {"remedy", finding.remedy}});
    if (json) continue;
    std::cout << level_name(finding.level) << std::string(9 - std::string(level_name(finding.level)).size(), ' ')
              << finding.subject << ": " << finding.text << "\n";
    if (!finding.remedy.empty()) std::cout << "         Remedy: " << finding.remedy << "\n";
  }
  if (json) std::cout << json_text(out, 2) << "\n";
  return problems ? 1 : 0;
}

}  // namespace

Command doctor_command() {
  CommandSpec spec;
  spec.program = "cryored doctor";
  spec.arguments = "[JOBDIR]";
  spec.summary = "check this machine, or who made the maps of a RELION job";
  spec.details =
      "Without JOBDIR: checks RELION, its environment variable, LibTorch, the weights, the GPU and its driver, memory, "
      "and the working directory, and says what to do about each problem.\n\n"
      "With JOBDIR (Refine3D/job012): lists every map that RELION asked an external program for, and whether cryored "
      "made it, with the denoiser or without. Where the variable is not set RELION silently runs its own program; the "
      "digest in the record beside each map tells. Exit status 1 when there is a problem.";
  spec.maximum_arguments = 1;
  spec.options = {device_option(), weights_option(), json_option("print JSON")};
  return {"doctor", spec, run};
}

}  // namespace cryored
