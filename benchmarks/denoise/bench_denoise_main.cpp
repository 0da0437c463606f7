// ./dev bench denoise: time per block of the denoiser and the share of this machine's peak.

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "benchmarks/denoise/denoise_timing.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

CommandSpec command() {
  CommandSpec spec;
  spec.program = "bench_denoise";
  spec.summary = "Time per block of the denoiser, and the share of this machine's matrix-multiply peak";
  spec.details =
      "The peak is that of torch::mm on the same device with the same threads, measured in the same run. The parts "
      "are timed one by one on tensors of the real shapes, in seconds of the processors (GPU: of the clock); their sum "
      "differs from the whole pass by what the pass "
      "saves or spends between them.";
  const auto integer = [](const char* name, const char* value, double low, double high, const char* help) {
    return tool_option(name, OptionKind::integer, "N", value, low, high, help);
  };
  spec.options = {tool_option("device", OptionKind::device, "D", "auto", "auto, cpu, cuda or cuda:N"),
                  tool_option("weights", OptionKind::text, "W", "",
                              "a weights file or the name of a shipped one; unset: the default "
                              "architecture with random weights, which takes the same time"),
                  integer("threads", "0", 0, 4096, "CPU threads; 0: as many as LibTorch takes by itself"),
                  integer("block", "0", 0, 1024, "edge of a block; 0: that of the weights, or 64"),
                  integer("batch", "1", 1, 4096, "blocks in one call"),
                  integer("repeats", "7", 1, 1000, "timed runs of each measurement, of which the median counts"),
                  tool_option("json", OptionKind::flag, "", "no", "print JSON")};
  return spec;
}

const char* name_of(Precision precision) { return precision == Precision::float32 ? "float32" : "bf16"; }

bool on_gpu(const DenoiseTiming& t) { return t.device_text.starts_with("GPU"); }

/// Work and time of one precision as rates. The share compares rates per second of the processors (GPU: of the
/// wall), so that other programs on the machine do not change it.
struct Rates {
  double block_seconds, gflops, peak, share;

  Rates(const DenoiseTiming& t, const PrecisionTiming& p)
      : block_seconds(p.pass.wall / t.batch),
        gflops(t.gflop_per_block / block_seconds),
        peak(p.peak_gflop / p.peak.best_wall),
        share(t.gflop_per_block * t.batch / (on_gpu(t) ? p.pass.wall : p.pass.processor) /
              (p.peak_gflop / (on_gpu(t) ? p.peak.best_wall : p.peak.best_processor))) {}
};

/// How many times longer the wall clock ran than the threads computed; near 1 on an idle machine.
double waiting(const DenoiseTiming& t, const PrecisionTiming& p) {
  return on_gpu(t) ? 1 : p.pass.wall * t.threads / p.pass.processor;
}

nlohmann::ordered_json json_of(const DenoiseTiming& t) {
  nlohmann::ordered_json json{
      {"device", t.device_text}, {"threads", t.threads}, {"architecture", t.architecture},
      {"block", t.block},        {"batch", t.batch},     {"gflop_per_block", t.gflop_per_block}};
  for (const auto& p : t.precisions) {
    const Rates r(t, p);
    nlohmann::ordered_json one{{"precision", name_of(p.precision)},
                               {"seconds_per_block", r.block_seconds},
                               {"best_seconds_per_block", p.pass.best_wall / t.batch},
                               {"processor_seconds_per_block", p.pass.processor / t.batch},
                               {"blocks_per_second", 1 / r.block_seconds},
                               {"gflop_per_second", r.gflops},
                               {"peak_gflop_per_second", r.peak},
                               {"share_of_peak", r.share},
                               {"wall_over_compute", waiting(t, p)}};
    for (const auto& part : p.parts)
      one["parts"].push_back({{"name", part.name},
                              {"seconds", part.seconds.wall},
                              {"processor_seconds", part.seconds.processor},
                              {"gflop", part.gflop}});
    json["precisions"].push_back(std::move(one));
  }
  return json;
}

void print(const DenoiseTiming& t) {
  std::cout << fmt::format("{}, {} thread(s); {}, blocks of {}^3, batch {}: {:.1f} GFLOP per block\n", t.device_text,
                           t.threads, t.architecture, t.block, t.batch, t.gflop_per_block);
  for (const auto& p : t.precisions) {
    const Rates r(t, p);
    std::cout << fmt::format(
        "\n{}: {:.4f} s per block (best {:.4f}; {:.4f} s of the processors), {:.2f} blocks/s, {:.1f} GFLOP/s;\n"
        "  matrix-multiply peak {:.1f} GFLOP/s, share of the peak {:.1f} %\n",
        name_of(p.precision), r.block_seconds, p.pass.best_wall / t.batch, p.pass.processor / t.batch,
        1 / r.block_seconds, r.gflops, r.peak, 100 * r.share);
    if (waiting(t, p) > 1.5)
      std::cout << fmt::format("  The machine is busy: the clock ran {:.1f} times longer than the threads computed.\n",
                               waiting(t, p));
    const auto seconds = [&](const Seconds& s) { return on_gpu(t) ? s.wall : s.processor; };
    for (const auto& part : p.parts) {
      std::cout << fmt::format("  {:24} {:9.4f} s  {:5.1f} % of the pass", part.name, seconds(part.seconds) / t.batch,
                               100 * seconds(part.seconds) / seconds(p.pass));
      if (part.gflop > 0)
        std::cout << fmt::format(", {:5.1f} % of the peak",
                                 100 * part.gflop / seconds(part.seconds) /
                                     (p.peak_gflop / (on_gpu(t) ? p.peak.best_wall : p.peak.best_processor)));
      std::cout << "\n";
    }
  }
}

int run(const Settings& settings) {
  TimingOptions options;
  options.device = settings.text("device");
  options.weights = settings.text("weights");
  options.threads = static_cast<int>(settings.integer("threads"));
  options.block = static_cast<int>(settings.integer("block"));
  options.batch = static_cast<int>(settings.integer("batch"));
  options.repeats = static_cast<int>(settings.integer("repeats"));
  const DenoiseTiming timing = time_denoiser(options);
  if (settings.flag("json"))
    std::cout << json_of(timing).dump(1) << "\n";
  else
    print(timing);
  return 0;
}

}  // namespace
}  // namespace cryored

int main(int argc, char** argv) { return cryored::run_tool(cryored::command(), argc, argv, cryored::run); }
