// ./dev bench simulate: projections per second against relion_project, from the same map and orientations.

#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "benchmarks/reconstruct/child_run.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "simulation/imager.hpp"
#include "simulation/particles.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;

CommandSpec command() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "bench_simulate";
  spec.arguments = "[STRUCTURE]";
  spec.summary = "Projections per second against relion_project, from the same map and orientations";
  spec.details =
      "Both read the map and a STAR file with orientations, shifts and CTF, and write an MRC stack; reading, padding "
      "and "
      "writing count. The last case has noise, and ours is all of cryored simulate: density, poses and STAR files "
      "besides. "
      "RELION's program is a process and uses one processor, ours is measured "
      "within "
      "this one and uses --threads. Processor time tells what either spent whatever else runs. Without STRUCTURE "
      "adenylate kinase, PDB entry 4AKE.";
  spec.maximum_arguments = 1;
  spec.options = {tool_option("count", integer, "N", "5000", 10, 1e7, "projections"),
                  tool_option("box", integer, "N", "96", 16, 1024, "pixels, even"),
                  tool_option("pixel-size", number, "A", "1.5", 0.1, 20, "pixel size in A"),
                  tool_option("threads", integer, "N", "2", 1, 1024, "processors that ours may use"),
                  tool_option("repeats", integer, "N", "3", 1, 100, "runs of each in turn; the fastest counts"),
                  tool_option("folder", path, "DIR", "", "where the files go and stay; unset: a temporary folder"),
                  tool_option("json", flag, "", "no", "print JSON")};
  return spec;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Below the Nyquist frequency: in its shell, which RELION fills, our images have nothing.
double difference(const std::string& ours, const std::string& theirs) {
  const Map a = read_mrc(ours), b = read_mrc(theirs);
  const std::vector<float> below(a.nx / 2 - 1, 1.f);
  double sum = 0, power = 0;
#pragma omp parallel for num_threads(threads()) reduction(+ : sum, power)
  for (std::size_t i = 0; i < a.nz; ++i) {
    Map change(a.nx, a.ny, 1), image(a.nx, a.ny, 1);
    for (std::size_t p = 0; p < image.size(); ++p) {
      image.data[p] = b.data[i * image.size() + p];
      change.data[p] = a.data[i * image.size() + p] - image.data[p];
    }
    for (const float v : multiply_shells(change, below).data) sum += static_cast<double>(v) * v;
    for (const float v : multiply_shells(image, below).data) power += static_cast<double>(v) * v;
  }
  return std::sqrt(sum / power);
}

int run(const Settings& settings) {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const std::string structure = settings.arguments.empty()
                                    ? (here.parent_path() / "share/cryored/demo/4AKE.pdb.gz").string()
                                    : settings.arguments[0];
  set_threads(static_cast<int>(settings.integer("threads")));
  fs::path folder = settings.text("folder");
  std::optional<TemporaryFolder> temporary;
  if (folder.empty()) folder = temporary.emplace().path();
  folder = fs::absolute(folder);
  ParticleOptions o;
  o.box = static_cast<std::size_t>(settings.integer("box"));
  o.pixel_size = settings.number("pixel-size");
  o.count = static_cast<int>(settings.integer("count"));
  o.snr = 1;
  o.ctf.on = true;
  o.ctf.astigmatism = 500;
  const ParticleFiles files = simulate_particles(read_structure(structure), o, folder.string());
  nlohmann::ordered_json json = {{"structure", structure},
                                 {"box", o.box},
                                 {"pixel_size_A", o.pixel_size},
                                 {"projections", o.count},
                                 {"threads", settings.integer("threads")}};
  struct Case {
    const char* name;
    bool ctf, noise;
  };
  for (const auto& [name, ctf, noise] :
       {Case{"projections", false, false}, Case{"projections with CTF", true, false}, Case{"particles", true, true}}) {
    const std::string ours = (folder / "ours.mrcs").string(), theirs = (folder / "relion.mrcs").string();
    std::vector<std::string> words = {"relion_project",
                                      "--i",
                                      "truth.mrc",
                                      "--ang",
                                      "particles_truth.star",
                                      "--o",
                                      "relion",
                                      "--angpix",
                                      fmt::format("{}", o.pixel_size)};
    if (ctf) words.push_back("--ctf");
    if (noise) words.insert(words.end(), {"--add_noise", "--white_noise", "1"});
    ChildRun relion{1e30, 1e30, 0}, cryored{1e30, 1e30, 0};
    for (long i = 0; i < settings.integer("repeats"); ++i) {
      // Neither has an older file to free: nearly a tenth of our time otherwise, and little of RELION's.
      for (const std::string& stack : {ours, theirs}) fs::remove(stack);
      fs::remove_all(folder / "again");
      const ChildRun r = run_child(words, folder.string(), (folder / "log").string());
      if (r.wall < relion.wall) relion = r;
      const auto begin = std::chrono::steady_clock::now();
      const double before = processor_seconds();
      if (noise)
        simulate_particles(read_structure(structure), o, (folder / "again").string());
      else
        project_particles(read_mrc(files.truth), o.pixel_size, files.truth_star, ctf, ours);
      const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (wall < cryored.wall) cryored = {wall, processor_seconds() - before, 0};
    }
    if (!settings.flag("json")) {
      std::cout << fmt::format("{} {} of {} x {} pixels\n", o.count, name, o.box, o.box);
      for (const auto& [program, r] : {std::pair{"relion_project", relion}, std::pair{"cryored", cryored}})
        std::cout << fmt::format("  {:14} {:9.3f} s   {:9.3f} s of processors   {:10.0f} / s\n", program, r.wall,
                                 r.processor, o.count / r.wall);
      std::cout << fmt::format("  {:.1f} times faster (aim 20 on 2 cores), {:.1f} times less processor time\n",
                               relion.wall / cryored.wall, relion.processor / cryored.processor);
    }
    nlohmann::ordered_json entry = {{"case", name},
                                    {"relion", {{"wall_s", relion.wall}, {"processor_s", relion.processor}}},
                                    {"cryored", {{"wall_s", cryored.wall}, {"processor_s", cryored.processor}}},
                                    {"times_faster", relion.wall / cryored.wall},
                                    {"times_less_processor", relion.processor / cryored.processor}};
    if (!noise) {
      const double rms = difference(ours, theirs);
      if (!settings.flag("json")) std::cout << fmt::format("  images differ by {:.1e} rms below Nyquist\n", rms);
      entry["relative_rms_below_nyquist"] = rms;
    }
    json["cases"].push_back(std::move(entry));
  }
  if (settings.flag("json")) std::cout << json.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace cryored

int main(int argc, char** argv) { return cryored::run_tool(cryored::command(), argc, argv, cryored::run); }
