#include "cli/training_options.hpp"

#include <algorithm>
#include <sstream>

#include "cli/common_options.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

OptionSpec choice_option(const std::string& name, const std::string& metavar, const std::string& value,
                         const std::vector<std::string>& choices, const std::string& help) {
  OptionSpec option = tool_option(name, OptionKind::choice, metavar, value, help);
  option.choices = choices;
  return option;
}

/// A choice as to_string() of models/unet_config.hpp spells it.
template <typename E>
void read_choice(const Settings& settings, const char* name, E& value) {
  std::string text = settings.text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  if (!from_string(text, value))
    throw UsageError(Problem{std::string("--") + name, "", text, "one of its choices", "see --help"});
}

/// --loss, which both tasks have with names of their own.
std::string task_loss(const Settings& settings, const std::vector<std::string>& names, const std::string& usual) {
  std::string loss = settings.text("loss");
  if (loss.empty()) return usual;
  if (std::find(names.begin(), names.end(), loss) != names.end()) return loss;
  std::string allowed;
  for (const auto& name : names) allowed += (allowed.empty() ? "" : ", ") + name;
  throw UsageError(Problem{"--loss", "", loss, allowed + " for --task " + settings.text("task"), "give one of these"});
}

}  // namespace

TrainOptions::Denoise denoise_task_options(const Settings& settings) {
  TrainOptions::Denoise o;
  o.pairs = settings.text("pairs");
  if (o.pairs.empty()) throw UsageError(Problem{"--pairs", "", "nothing", "a folder", "give it; see --help"});
  o.held_out = settings.text("held-out");
  o.voxel = settings.number("voxel");
  o.network.levels = static_cast<int>(settings.integer("levels"));
  o.network.width = static_cast<int>(settings.integer("width"));
  read_choice(settings, "norm", o.network.norm);
  read_choice(settings, "activation", o.network.activation);
  read_choice(settings, "down", o.network.down);
  read_choice(settings, "up", o.network.up);
  o.network.residual_blocks = settings.flag("residual-blocks");
  o.network.mask_head = settings.flag("mask-head");
  o.network.deviation = settings.text("inputs") == "map,deviation";
  o.network.in_channels = settings.text("inputs") == "map,fsc" ? 2 : 1;
  o.network.check();
  const std::string target = settings.text("target");
  o.target = target == "fsc" ? DenoiseTarget::fsc : target == "cref" ? DenoiseTarget::cref : DenoiseTarget::sharp;
  const std::string loss = task_loss(settings, {"both", "shells", "map"}, "both");
  o.loss = loss == "shells" ? DenoiseLoss::shells : loss == "map" ? DenoiseLoss::map : DenoiseLoss::both;
  o.turn = settings.flag("turn");
  o.assemblies = settings.number("assemblies");
  return o;
}

TrainOptions::Pinn pinn_task_options(const Settings& settings) {
  TrainOptions::Pinn o;
  o.structures = settings.text("structures");
  if (o.structures.empty())
    throw UsageError(Problem{"--structures", "", "nothing", "a folder or file of structures", "give it; see --help"});
  o.held_out = settings.text("held-out");
  o.setting = settings.text("setting");
  o.box = even_box(settings);
  o.pairs = settings.integer("exposures");
  o.most_structures = settings.integer("most-structures");
  o.repeat = static_cast<int>(settings.integer("repeat"));
  const std::string loss = task_loss(settings, {"mse", "whitened", "frc"}, "frc");
  o.loss = loss == "frc" ? PhaseLoss::frc : loss == "whitened" ? PhaseLoss::whitened : PhaseLoss::mse;
  o.every_stage = settings.flag("every-stage");
  o.network.stages = static_cast<int>(settings.integer("stages"));
  o.network.shared = settings.flag("shared");
  o.network.residual = settings.flag("residual");
  // The denoiser's five levels are too many for images of one particle.
  if (settings.given("levels")) o.network.levels = static_cast<int>(settings.integer("levels"));
  o.network.width = static_cast<int>(settings.integer("width"));
  std::istringstream list(settings.text("channels"));
  for (std::string word; std::getline(list, word, ',');) {
    PinnChannel channel{};
    if (!from_string(word, channel))
      throw UsageError(Problem{"--channels", "", word, "previous, observation, amplitude, wiener",
                               "give some of these, separated by commas"});
    o.network.channels.push_back(channel);
  }
  o.network.check();
  return o;
}

std::vector<OptionSpec> task_option_specs() {
  using enum OptionKind;
  return {
      tool_option("pairs", path, "DIR", "", "denoise: folder of shards made by cryored pairs (required)"),
      tool_option("voxel", number, "A", "0", 0, 10,
                  "denoise: voxel size in A of older shards, which do not state theirs; 0: refuse those"),
      choice_option("target", "T", "sharp", {"sharp", "fsc", "cref"},
                    "denoise: what the output shall be: sharp, the truth cut at the input's shell; fsc, that times the "
                    "half-map FSC, as Kimanius et al. do; cref, that times sqrt(2 FSC / (1 + FSC))"),
      tool_option("turn", flag, "", "yes", "denoise: augment by the 24 rotations of the cube"),
      tool_option("assemblies", number, "SHARE", "0", 0, 1,
                  "denoise: share of the examples to which a second molecule's pair is added, as large assemblies and "
                  "blocks of them hold more than one"),
      choice_option("inputs", "LIST", "map", {"map", "map,deviation", "map,fsc"},
                    "denoise: channels of the network; deviation: the map's standard deviation over 5^3 voxels around "
                    "each, which the network computes itself; fsc: the map times sqrt(2 FSC / (1 + FSC)) of the "
                    "half-maps, for the ablation: such weights are not served"),
      choice_option("norm", "N", "instance", {"instance", "group", "none"},
                    "denoise: normalisation; group: of 8 channels"),
      choice_option("activation", "A", "silu", {"silu", "relu", "leaky-relu"}, "denoise: activation function"),
      choice_option("down", "D", "max-pool", {"max-pool", "strided"},
                    "denoise: to the next level by pooling or by a convolution of stride 2"),
      choice_option("up", "U", "transposed", {"transposed", "trilinear"},
                    "denoise: back by a transposed convolution or by interpolation"),
      tool_option("residual-blocks", flag, "", "no",
                  "denoise: each level adds its first convolution's output to its own"),
      tool_option("mask-head", flag, "", "no",
                  "denoise: a second output multiplies the first: it can empty the solvent"),
      tool_option("structures", path, "PATH", "",
                  "pinn: PDB or mmCIF file, or a folder of them, of which one in ten (by name) is held out (required)"),
      tool_option(
          "held-out", path, "PATH", "",
          "validate on this instead: pinn, a file or folder, required where --structures is a file, never trained on; "
          "denoise, a folder of shards, of which the held-out structures count"),
      choice_option(
          "setting", "S", "paper", {"paper", "general"},
          "pinn: paper, that of Yang et al. 2025 with 500 exposures of one structure; general, random defocus, "
          "dose and pixel size"),
      tool_option("box", integer, "N", "0", 0, 1024, "pinn: box in pixels, even; 0: the setting's"),
      tool_option("exposures", integer, "N", "-1", -1, 1e9, "pinn: fixed exposures, 0: endless; -1: the setting's"),
      tool_option("most-structures", integer, "N", "0", 0, 1e6, "pinn: use so many structures, 0: all"),
      tool_option("stages", integer, "K", "10", 1, 100, "pinn: stages of physics step and U-Net"),
      tool_option("shared", flag, "", "no", "pinn: one U-Net for all stages"),
      tool_option("residual", flag, "", "no",
                  "pinn: U-Nets change the phase that the physics step leaves; else they make it anew"),
      tool_option("channels", text, "LIST", "",
                  "pinn: further input of the U-Nets: previous, observation, amplitude, wiener, separated by commas"),
      tool_option("repeat", integer, "N", "1", 1, 1024,
                  "pinn: exposures of each view in a batch; with --loss frc their mean counts too"),
      tool_option("every-stage", flag, "", "no", "pinn: all stages count in the loss"),
      choice_option(
          "loss", "L", "", {"both", "shells", "map", "frc", "whitened", "mse"},
          "denoise, squared error over the truth's power: both (default), half of shells, the mean of that "
          "ratio over shells, and half of map, that of the whole map. pinn: frc (default), half the mean square "
          "error and the area that the Fourier ring correlation lacks; mse, mean square error of the phase; "
          "whitened, half of the same with all rings of one power on top"),
      tool_option("levels", integer, "N", "5", 1, 8, "levels of the U-Net; pinn: 3 unless given"),
      tool_option("width", integer, "N", "16", 8, 256, "channels of its first level"),
  };
}

}  // namespace cryored
