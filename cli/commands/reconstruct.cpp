// cryored reconstruct: what RELION's --external_reconstruct runs, through cryored-reconstruct.

#include <iostream>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/plugin_options.hpp"
#include "cli/reconstruct_run.hpp"
#include "core/base/json_text.hpp"

namespace cryored {
namespace {

int run(const Settings& settings) {
  const ReconstructOutcome outcome = run_reconstruction(settings);
  // One line, flushed at once: RELION's log mixes the output of several ranks.
  if (settings.flag("json"))
    std::cout << json_text(outcome.record, 2) << std::endl;
  else
    std::cout << outcome.line << std::endl;
  return 0;
}

OptionSpec bounded(OptionSpec option, double minimum, double maximum) {
  option.minimum = minimum;
  option.maximum = maximum;
  return option;
}

}  // namespace

Command reconstruct_command() {
  CommandSpec spec;
  spec.program = "cryored reconstruct";
  spec.arguments = "STAR";
  spec.summary = "reconstruct one map from RELION's external_reconstruct STAR file";
  spec.details =
      "STAR is the file that RELION writes for --external_reconstruct; cryored-reconstruct, which RELION calls, takes "
      "the same options. The map goes to the file that STAR names, a JSON record to <map>_cryored.json beside it, and "
      "one line to stdout: whether the denoiser ran, where, with which lambda, and how long.\n\n"
      "Options may also stand in CRYORED_<OPTION> variables and in config files (cryored config).";
  spec.minimum_arguments = spec.maximum_arguments = 1;
  spec.options = {
      {"prior",
       OptionKind::choice,
       "NAME",
       "auto",
       "gaussian: RELION's own regularised map, no network; red: the denoiser with lambda 1 at every resolution; "
       "cw-red: lambda follows the half-map resolution (--confidence-range); per-shell: a lambda for each shell, from "
       "the table that cryored-calibrate stored with the weights (docs/red.md); auto: per-shell where the weights have "
       "that table, as the shipped ones, else cw-red",
       {"auto", "gaussian", "red", "cw-red", "per-shell"}},
      {"confidence",
       OptionKind::choice,
       "NAME",
       "",
       "how far the denoiser is trusted, whatever --prior (but gaussian) says: cw: by the half-map resolution "
       "(--confidence-range); red: lambda 1; per-shell: as --prior per-shell",
       {"cw", "red", "per-shell"}},
      bounded({"lambda", OptionKind::number, "L", "", "weight of the denoiser, 0 (none) to 1, whatever the resolution"},
              0, 1),
      {"confidence-range", OptionKind::range, "LOW:HIGH", "10:4.5",
       "cw-red: lambda is 0 at nominal resolutions of LOW A and worse, 1 at HIGH A and better, linear between"},
      bounded({"fsc-threshold", OptionKind::number, "T", "0.143",
               "the nominal resolution is where the half-map FSC first falls through T"},
              0.001, 0.999),
      pixel_size_option("the one in STAR, else the one in the job's files beside it"),
      {"symmetry", OptionKind::text, "GROUP", "",
       "point group over which the denoiser's output is averaged (C1, D7, O, I1 ...; a helix as "
       "C1,twist=-1.21,rise=4.75); without it the one in the job's files"},
      {"denoise-joined", OptionKind::flag, "", "no",
       "hand RELION the denoised map also for the final joined reconstruction; else it gets the Wiener map, and the "
       "denoised one is saved beside it"},
      {"guard",
       OptionKind::choice,
       "MODE",
       "off",
       "report: also run the denoiser on two copies of the half-map with random phases beyond the shell where the "
       "half-map FSC falls below --guard-level, and record what share of its output it creates by itself (two more "
       "passes of "
       "the denoiser); limit: and lower lambda where that exceeds --guard-bound",
       {"off", "report", "limit"}},
      bounded({"guard-bound", OptionKind::number, "SHARE", "0.4", "share that the guard allows in a shell"}, 0, 0.99),
      bounded({"guard-level", OptionKind::number, "FSC", "0.5",
               "the guard makes phases random from the first shell whose half-map FSC lies below this"},
              0.01, 0.99),
      {"skip-gridding", OptionKind::flag, "", "no",
       "divide by the weight once instead of RELION's ten gridding rounds"},
      {"cleanup", OptionKind::flag, "", "no",
       "when the map is in place, remove the data and weight files that RELION left of this job's iterations before "
       "its last finished one (docs/cleanup.md)"},
      device_option(),
      precision_option(),
      weights_option(),
      threads_option(),
      json_option("print the record instead of the line")};
  spec.caller_options = plugin_options();
  spec.caller_title = "cryored-reconstruct takes these for itself (variables and config files too):";
  return {"reconstruct", spec, run};
}

}  // namespace cryored
