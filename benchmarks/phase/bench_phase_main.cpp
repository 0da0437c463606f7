// ./dev bench phase: particles per second of cryored phase --method pinn and the share of this machine's peak.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "benchmarks/phase/phase_timing.hpp"
#include "cli/run_program.hpp"
#include "cli/threads.hpp"
#include "models/weights_file.hpp"

namespace cryored {
namespace {

CommandSpec command() {
  CommandSpec spec;
  spec.program = "bench_phase";
  spec.summary = "Particles per second of the phase network, and the share of this machine's matrix-multiply peak";
  spec.details =
      "Images of noise through the method of cryored phase, without reading and writing. The peak is that of torch::mm "
      "on one processor (GPU: on the GPU), measured in the same run; the share counts the floating-point operations "
      "of the convolutions and the seconds of the processors, so that other programs do not change it.";
  spec.options = {
      tool_option("device", OptionKind::device, "D", "auto", "auto, cpu, cuda or cuda:N"),
      tool_option("weights", OptionKind::text, "W", "", "a weights file; unset: the shipped one"),
      tool_option("threads", OptionKind::integer, "N", "0", 0, 4096, "CPU threads; 0: the processors it may use"),
      tool_option("box", OptionKind::integer, "N", "128", 16, 4096, "pixels"),
      tool_option("pixel-size", OptionKind::number, "A", "1", 0.1, 100, "with --defocus it decides the grid"),
      tool_option("defocus", OptionKind::number, "A", "10000", 0, 1e6, "underfocus"),
      tool_option("images", OptionKind::integer, "N", "64", 1, 1e6, "in one call"),
      tool_option("repeats", OptionKind::integer, "N", "5", 1, 1000, "timed runs, of which the median counts"),
      tool_option("json", OptionKind::flag, "", "no", "print JSON")};
  return spec;
}

int run(const Settings& settings) {
  PhaseTimingOptions options;
  options.device = settings.text("device");
  options.weights = find_weights(settings.text("weights"), "", kPhaseWeights);
  options.threads = static_cast<int>(settings.integer("threads"));
  if (options.threads == 0) options.threads = usable_processors();
  options.box = static_cast<int>(settings.integer("box"));
  options.pixel_size = settings.number("pixel-size");
  options.defocus = settings.number("defocus");
  options.count = static_cast<int>(settings.integer("images"));
  options.repeats = static_cast<int>(settings.integer("repeats"));
  const PhaseTimings t = time_phase_network(options);
  nlohmann::ordered_json json{{"device", t.device_text}, {"threads", options.threads}, {"box", options.box},
                              {"grid", t.grid},          {"images", options.count},    {"method", t.description}};
  if (!settings.flag("json"))
    std::cout << fmt::format("{}, {} thread(s); {}, box {}, grid {}\n", t.device_text, options.threads, t.description,
                             options.box, t.grid);
  for (const PhaseTiming& p : t.precisions) {
    const double busy = t.gpu ? p.wall : p.processor, share = p.gflop / busy / p.peak;
    const char* name = p.precision == Precision::float32 ? "float32" : "bf16";
    json["precisions"].push_back({{"precision", name},
                                  {"particles_per_second", options.count / p.wall},
                                  {"processor_seconds_per_particle", p.processor / options.count},
                                  {"share_of_time_in_nets", p.nets_processor / busy},
                                  {"gflop_per_particle", p.gflop / options.count},
                                  {"peak_gflop_per_second", p.peak},
                                  {"share_of_peak", share},
                                  {"share_of_peak_of_nets", p.gflop / p.nets_processor / p.peak}});
    if (!settings.flag("json"))
      std::cout << fmt::format(
          "{}: {:.1f} particles/s; {:.4f} s of the processors each, {:.0f} % of it in the U-Nets; {:.2f} GFLOP each\n"
          "  matrix-multiply peak {:.1f} GFLOP/s a {}, share of the peak {:.1f} %, of the U-Nets alone {:.1f} %\n",
          name, options.count / p.wall, p.processor / options.count, 100 * p.nets_processor / busy,
          p.gflop / options.count, p.peak, t.gpu ? "GPU" : "processor", 100 * share,
          100 * p.gflop / p.nets_processor / p.peak);
  }
  if (settings.flag("json")) std::cout << json.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace cryored

int main(int argc, char** argv) { return cryored::run_tool(cryored::command(), argc, argv, cryored::run); }
