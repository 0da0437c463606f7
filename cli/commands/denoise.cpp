// cryored denoise: one map through the network.

#include <chrono>
#include <cstdio>
#include <iostream>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/denoise_library.hpp"
#include "cli/denoise_map.hpp"
#include "cli/map_input.hpp"
#include "cli/network_options.hpp"
#include "cli/record.hpp"
#include "cli/signals.hpp"
#include "cli/threads.hpp"
#include "core/base/error.hpp"
#include "core/base/json_text.hpp"
#include "core/base/output_path.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"

namespace cryored {
namespace {

int run(const Settings& settings) {
  const auto start = std::chrono::steady_clock::now();
  const std::string &input = settings.arguments[0], &output = settings.arguments[1];
  refuse_input_as_output({input}, output);
  remove_temporary_files_on_signal({output});
  MrcHeader header;
  const Map map = read_finite_map(input, header);
  const double pixel_size = input_pixel_size(settings, header, input);
  const int threads = settings.has("threads") ? static_cast<int>(settings.integer("threads")) : usable_processors();
  set_threads(threads);
  // A single map states no resolution to choose by: the coarsest, as for a refinement that begins.
  LazyDenoiser denoiser(denoisers_in_force(settings).front().path, denoiser_options(settings, threads));
  ResampleBoxes boxes;
  const Map out = denoise_map(denoiser, map, pixel_size, boxes);
  write_mrc(output, out, pixel_size, MrcMode::float32, false, header.placement);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const std::string device = denoiser.loaded()->device_text();
  const auto& pass = denoiser.loaded()->last_pass();
  if (settings.flag("json")) {
    Json record = start_record();
    record["input"] = file_entry(input);
    record["output"] = file_entry(output);
    record["pixel_size_A"] = pixel_size;
    record["network"] = {{"box", boxes.resampled}, {"voxel_size_A", boxes.voxel_size}};
    record["blocks"] = {{"count", pass.blocks}, {"edge", pass.block}, {"overlap", pass.overlap}, {"batch", pass.batch}};
    record["weights"] = {{"path", denoiser.weights().path}, {"sha256", denoiser.weights().sha256}};
    record["device"] = {{"name", device}, {"threads", threads}};
    record["timings_s"] = {
        {"denoiser_load", denoiser.load_seconds()}, {"denoiser_pass", denoiser.pass_seconds()}, {"total", seconds}};
    std::cout << json_text(record, 2) << "\n";
    return 0;
  }
  char text[160];
  std::snprintf(text, sizeof text, ", box %zu at %.4g A, %ld blocks, %.2f s (network %.2f s)", boxes.resampled,
                boxes.voxel_size, pass.blocks, seconds, denoiser.pass_seconds());
  std::cout << "cryored: " << output << ": denoised on " << device << text << "\n";
  return 0;
}

}  // namespace

Command denoise_command() {
  OptionSpec weights = weights_option();
  weights.help =
      "weights of the network; without it the coarsest of the denoisers of this installation, or of the folder that "
      "CRYORED_WEIGHTS names, whatever the map's resolution";
  CommandSpec spec;
  spec.program = "cryored denoise";
  spec.arguments = "IN.mrc OUT.mrc";
  spec.summary = "one pass of the network over one map";
  spec.details =
      "Resamples the map to the network's voxel size in Fourier space, runs the network once, and adds what it changed "
      "to the map; detail beyond the network's voxel size passes unchanged. The network is trained on unfiltered, "
      "unsharpened half-maps of a refinement. For maps better than 7.5 A name denoiser-1.5A: --weights denoiser-1.5A.";
  spec.minimum_arguments = spec.maximum_arguments = 2;
  spec.options = {pixel_size_option("the one in the header of the map"),
                  device_option(),
                  precision_option(),
                  weights,
                  threads_option(),
                  json_option("print what was done as JSON")};
  return {"denoise", spec, run};
}

}  // namespace cryored
