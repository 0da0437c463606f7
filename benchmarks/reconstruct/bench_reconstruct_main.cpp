// ./dev bench reconstruct: cryored reconstruct --prior gaussian against relion_external_reconstruct, on the same
// files in one run: wall time, processor time, peak memory, and how far the maps are apart.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "benchmarks/reconstruct/child_run.hpp"
#include "benchmarks/reconstruct/request_files.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

struct Case {
  int box, padding;
  double least_speed, most_memory;  ///< the aim: RELION's time over ours, our memory over RELION's; 0: none
  bool alternate;                   ///< cheap enough to repeat both programs in turn
};
const Case cases[] = {{256, 2, 20, 0.5, false}, {64, 1, 1, 0, true}};

struct Result {
  Case what;
  ChildRun relion, ours;  ///< of the runs with the median wall time
  double relative_rms = 0;
  double speed() const { return relion.wall / ours.wall; }
  double processor() const { return relion.processor / ours.processor; }
  double memory() const { return ours.peak_memory / relion.peak_memory; }
};

CommandSpec command() {
  CommandSpec spec;
  spec.program = "bench_reconstruct";
  spec.summary = "Time and memory of the Gaussian path against relion_external_reconstruct, on the same files";
  spec.details =
      "Both programs run as processes of their own, start included, one after the other: box 256 at padding 2 once "
      "each "
      "(RELION takes minutes and 6 GB), box 64 at padding 1 in turn, the median counting. RELION's program uses one "
      "processor, ours as many as --threads says; processor time tells what either spent whatever else runs.";
  OptionSpec box = tool_option("box", OptionKind::choice, "N", "both", "measure one case only");
  box.choices = {"both", "256", "64"};
  spec.options = {
      tool_option("folder", OptionKind::path, "DIR", "", "where the files go and stay; unset: a temporary folder"),
      tool_option("program", OptionKind::path, "FILE", "", "the cryored to measure; unset: the one of this build"),
      tool_option("relion", OptionKind::text, "PROGRAM", "relion_external_reconstruct", "RELION's program"),
      box,
      tool_option("repeats", OptionKind::integer, "N", "9", 1, 1000,
                  "runs of each program at box 64; ours at box 256, up to 3"),
      tool_option("threads", OptionKind::integer, "N", "2", 1, 4096, "processors that ours may use"),
      tool_option("json", OptionKind::flag, "", "no", "print JSON")};
  return spec;
}

ChildRun median(std::vector<ChildRun> runs) {
  std::sort(runs.begin(), runs.end(), [](const ChildRun& a, const ChildRun& b) { return a.wall < b.wall; });
  ChildRun result = runs[runs.size() / 2];
  for (const auto& run : runs) result.peak_memory = std::max(result.peak_memory, run.peak_memory);
  return result;
}

double difference(const std::string& ours, const std::string& theirs) {
  const Map a = read_mrc(ours), b = read_mrc(theirs);
  double sum = 0, power = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::pow(static_cast<double>(a.data[i]) - static_cast<double>(b.data[i]), 2);
    power += std::pow(static_cast<double>(b.data[i]), 2);
  }
  return std::sqrt(sum / power);
}

Result measure(const Case& what, const fs::path& folder, const Settings& settings, const std::string& program) {
  const fs::path here = folder / fmt::format("box{}", what.box);
  fs::create_directories(here);
  const RequestFiles files{here.string(), what.box, what.padding, 2};
  in_fork([](const void* f) { write_request_files(*static_cast<const RequestFiles*>(f)); }, &files,
          "writing the files");
  const std::string star = fs::path(result_name()).replace_extension(".star").string();
  const std::string log = (here / "log").string(), result = (here / result_name()).string();
  const std::vector<std::string> theirs{settings.text("relion"), star};
  const std::vector<std::string> ours{
      program, "reconstruct", "--prior", "gaussian", "--device", "cpu", "--threads", settings.text("threads"), star};
  const auto repeats = static_cast<int>(settings.integer("repeats"));
  std::vector<ChildRun> relion_runs, our_runs;
  const std::string kept = (here / "relion.mrc").string();
  for (int i = 0; i < (what.alternate ? repeats : std::min(repeats, 3)); ++i) {
    if (what.alternate || i == 0) {
      relion_runs.push_back(run_child(theirs, here.string(), log));
      fs::rename(result, kept);
    }
    our_runs.push_back(run_child(ours, here.string(), log));
  }
  return {what, median(relion_runs), median(our_runs), difference(result, kept)};
}

nlohmann::ordered_json json_of(const ChildRun& run) {
  return {{"wall_seconds", run.wall}, {"processor_seconds", run.processor}, {"peak_memory_mib", run.peak_memory}};
}

void print(const Result& r) {
  std::cout << fmt::format("box {}, padding {}\n", r.what.box, r.what.padding);
  for (const auto& [name, run] : {std::pair{"RELION", r.relion}, std::pair{"cryored", r.ours}})
    std::cout << fmt::format("  {:8} {:9.3f} s   {:9.3f} s of processors   {:8.1f} MiB\n", name, run.wall,
                             run.processor, run.peak_memory);
  std::cout << fmt::format(
                   "  {:.1f} times faster (aim {:g}), {:.1f} times less processor time, {:.2f} of the memory{}; "
                   "maps differ by {:.1e} rms\n",
                   r.speed(), r.what.least_speed, r.processor(), r.memory(),
                   r.what.most_memory > 0 ? fmt::format(" (aim {:g})", r.what.most_memory) : "", r.relative_rms)
            << std::flush;
}

int run(const Settings& settings) {
  std::string program = settings.text("program");
  if (program.empty()) program = (fs::canonical("/proc/self/exe").parent_path() / "cryored").string();
  if (!fs::exists(program))
    throw SystemError(
        Problem{program, "program", "missing", "the program cryored", "build it, or name it with --program"});
  if (std::system(("command -v '" + settings.text("relion") + "' >/dev/null 2>&1").c_str()) != 0)
    throw SystemError(Problem{settings.text("relion"), "program", "missing", "RELION's program on PATH",
                              "install Debian's package relion, or name the program with --relion"});
  fs::path folder = settings.text("folder");
  std::optional<TemporaryFolder> temporary;
  if (folder.empty()) folder = temporary.emplace().path();
  program = fs::absolute(program).string();
  folder = fs::absolute(folder);
  nlohmann::ordered_json json;
  json["program"] = "bench_reconstruct";
  json["threads"] = settings.integer("threads");
  for (const auto& what : cases) {
    if (settings.text("box") != "both" && settings.text("box") != std::to_string(what.box)) continue;
    const Result r = measure(what, folder, settings, program);
    if (!settings.flag("json")) print(r);
    json["cases"].push_back({{"box", r.what.box},
                             {"padding", r.what.padding},
                             {"relion", json_of(r.relion)},
                             {"cryored", json_of(r.ours)},
                             {"times_faster", r.speed()},
                             {"times_less_processor", r.processor()},
                             {"share_of_memory", r.memory()},
                             {"relative_rms", r.relative_rms}});
    if (temporary) fs::remove_all(folder / fmt::format("box{}", what.box));
  }
  if (settings.flag("json")) std::cout << json.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace cryored

int main(int argc, char** argv) { return cryored::run_tool(cryored::command(), argc, argv, cryored::run); }
