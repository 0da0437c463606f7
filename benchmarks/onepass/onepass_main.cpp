// cryored-onepass: what one pass of the denoiser does to RELION's unregularised half-maps,
// measured against the truth, shell by shell.

#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "core/formats/mrc.hpp"
#include "core/fourier/fft.hpp"
#include "core/fourier/shells.hpp"
#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/red.hpp"
#include "models/block_denoiser.hpp"

using namespace cryored;

namespace {

struct OnePass {
  std::string star;
  int first_shell = 0, cut = 0;
  double nominal = 0;  ///< A, half-map FSC 0.143
  std::vector<double> before, after;
  double mean_change = 0, worst_change = 0;
};

OnePass measure(const std::string& star, const Map& truth, double pixel_size, Denoiser& denoiser) {
  const ReconstructRequest request = read_request(star);
  const RequestArrays arrays = open_arrays(request);
  const RedWeights weights = red_weights(request, arrays);
  const Map input = unregularised_map(request, arrays, weights);
  if (input.nx != truth.nx)
    throw InputError(Problem{star, "box", std::to_string(input.nx), "the truth's " + std::to_string(truth.nx),
                             "give the truth of this data set"});
  const Map output = denoise(request, input, pixel_size, denoiser, Symmetry{}).denoised;
  OnePass r;
  r.star = star;
  r.cut = cut_shell(request);
  r.first_shell = static_cast<int>(std::ceil(request.box * pixel_size / 15));
  r.nominal = resolution_figures(request.fsc, r.cut, request.box, pixel_size).nominal.value_or(0);
  r.before = fsc(input, truth);
  r.after = fsc(output, truth);
  for (int s = r.first_shell; s < r.cut; ++s) {
    const double change = r.after[static_cast<std::size_t>(s)] - r.before[static_cast<std::size_t>(s)];
    r.mean_change += change / (r.cut - r.first_shell);
    r.worst_change = std::min(r.worst_change, change);
  }
  return r;
}

CommandSpec command() {
  using enum OptionKind;
  CommandSpec spec;
  spec.program = "cryored-onepass";
  spec.arguments = "STAR...";
  spec.summary = "What one pass of the denoiser does to RELION's unregularised half-maps: FSC to the truth";
  spec.details =
      "STAR are the files that RELION wrote for --external_reconstruct; their MRC files are found from the working "
      "directory of that job. The shells are those from 15 A to the cut (current size / 2).";
  spec.minimum_arguments = 1;
  spec.maximum_arguments = 10000;
  spec.options = {tool_option("truth", path, "MAP", "", "true map: same box, frame and pixel size (required)"),
                  tool_option("weights", text, "FILE", "", "weights file; without it the shipped one"),
                  tool_option("json", flag, "", "no", "print JSON")};
  return spec;
}

int run(const Settings& settings) {
  if (settings.text("truth").empty())
    throw UsageError(Problem{"--truth", "", "nothing", "an MRC map", "give it; see --help"});
  const std::string truth_path = settings.text("truth"), weights = settings.text("weights");
  const std::vector<std::string>& stars = settings.arguments;
  const bool json = settings.flag("json");
  MrcHeader header;
  const Map truth = read_mrc(truth_path, &header);
  const auto denoiser = make_denoiser(find_weights(weights));
  nlohmann::json out = nlohmann::json::array();
  for (const auto& star : stars) {
    const OnePass r = measure(star, truth, header.pixel_size, *denoiser);
    if (json) {
      out.push_back({{"star", star},
                     {"nominal_resolution", r.nominal},
                     {"first_shell", r.first_shell},
                     {"cut", r.cut},
                     {"fsc_before", r.before},
                     {"fsc_after", r.after},
                     {"mean_change", r.mean_change},
                     {"worst_change", r.worst_change}});
      continue;
    }
    fmt::print(
        "{}: half-map FSC 0.143 at {:.1f} A, shells {} to {} (15 A to the cut): mean change {:+.3f}, worst {:+.3f}\n",
        star, r.nominal, r.first_shell, r.cut - 1, r.mean_change, r.worst_change);
    for (const auto* curve : {&r.before, &r.after}) {
      fmt::print("  {}", curve == &r.before ? "before" : "after ");
      for (int s = r.first_shell; s < r.cut; ++s) fmt::print(" {:5.2f}", (*curve)[static_cast<std::size_t>(s)]);
      fmt::print("\n");
    }
  }
  if (json) std::cout << out.dump(1) << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return run_tool(command(), argc, argv, run); }
