#include "cli/simulation_options.hpp"

#include <charconv>
#include <cmath>
#include <sstream>
#include <tuple>

#include "cli/common_options.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"
#include "simulation/structures.hpp"

namespace cryored {

std::vector<OptionSpec> particle_option_specs() {
  using enum OptionKind;
  const auto choice_option = [](const char* name, const char* value, std::vector<std::string> choices,
                                const char* help) {
    OptionSpec o = tool_option(name, choice, "KIND", value, help);
    o.choices = std::move(choices);
    return o;
  };
  return {
      tool_option("box", integer, "N", "48", 16, 8190, "pixels, even"),
      tool_option("pixel-size", number, "A", "2.5", 0.1, 20, "pixel size in A"),
      tool_option("count", integer, "N", "1000", 10, 1e7, "particles"),
      tool_option("seed", integer, "N", "1", 0, 1e9, "of everything that is drawn"),
      tool_option("b-factor", number, "B", "50", 0, 1000, "B factor of every atom in A^2"),
      tool_option("hydrogens", flag, "", "no",
                  "hydrogens that the structure file has count too; waters never do, ligands and ions always"),
      tool_option("factor", number, "F", "0", 0, 1e6,
                  "instead of an SNR the scale of Kimanius et al. (2021): the density as EMAN's pdb2mrc makes it times "
                  "this (0.014, 0.012, 0.010, 0.008 there), noise of unit variance; 0: not used"),
      tool_option("pdb2mrc-resolution", number, "A", "3", 0.5, 50, "resolution of pdb2mrc, with --factor"),
      choice_option("orientations", "uniform", {"uniform", "preferred"},
                    "uniform over the rotation group; or preferred: a share of the particles shows the structure along "
                    "its z axis, from either side, tilted by --preferred-spread, the others lie anyhow"),
      tool_option("preferred-share", number, "P", "0.8", 0, 1, "share of the preferred views"),
      tool_option("preferred-spread", number, "DEG", "20", 0, 180,
                  "standard deviation of their tilt about each axis, degrees"),
      tool_option("shift-sigma", number, "PIXELS", "1", 0, 1000, "standard deviation of the shift along x and y"),
      tool_option("ctf", flag, "", "no", "images have a CTF, and the STAR files its columns"),
      tool_option("voltage", number, "KV", "300", 10, 3000, "acceleration voltage"),
      tool_option("cs", number, "MM", "2.7", 0, 100, "spherical aberration"),
      tool_option("amplitude-contrast", number, "Q", "0.1", 0, 1, "amplitude contrast"),
      tool_option("defocus", text, "LOW:HIGH", "8000:20000", "mean of both defoci in A, uniform in this range"),
      tool_option("astigmatism", number, "A", "0", 0, 1e5,
                  "largest difference of both defoci: uniform from 0, any angle"),
      tool_option("phase-shift", number, "DEG", "0", -360, 360, "of a phase plate"),
      tool_option("envelope", text, "LOW:HIGH", "0:0",
                  "B factor of the envelope in A^2, uniform; written as rlnCtfBfactor"),
      tool_option("beam-tilt", text, "X:Y", "0:0", "mrad"),
      choice_option(
          "noise", "white", {"white", "coloured"},
          "coloured: power falls with spatial frequency s as 0.2 + 0.8 / (1 + (s d)^2), d from --noise-falloff"),
      tool_option("noise-falloff", number, "A", "20", 0.1, 1e4, "d of coloured noise"),
      tool_option("noise-only", flag, "", "no", "images without signal; maps and STAR files as ever"),
      tool_option(
          "randomise-phases-beyond", number, "A", "0", 0, 1e4,
          "replace the phases of every image beyond this resolution, of signal and noise, by random ones; 0: keep"),
      tool_option("start", path, "WHAT", "truth",
                  "what initial.mrc is made of: truth, mirrored (the truth's mirror image), or another structure file"),
      tool_option("start-resolution", number, "A", "30", 5, 200, "low-pass of initial.mrc"),
  };
}

std::pair<double, double> number_pair(const Settings& settings, const std::string& option) {
  const std::string& text = settings.text(option);
  const std::size_t colon = text.find(':');
  double value[2] = {};
  bool good = colon != std::string::npos;
  for (int i = 0; i < 2 && good; ++i) {
    const char* begin = text.data() + (i == 0 ? 0 : colon + 1);
    const char* end = i == 0 ? text.data() + colon : text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, value[i]);
    good = error == std::errc() && stop == end && std::isfinite(value[i]);
  }
  if (!good)
    throw UsageError(
        Problem{"--" + option, "", text, "two numbers separated by a colon", "write for example 8000:20000"});
  return {value[0], value[1]};
}

ParticleOptions particle_options(const Settings& settings) {
  ParticleOptions o;
  o.box = static_cast<std::size_t>(even_box(settings));
  o.pixel_size = settings.number("pixel-size");
  o.count = static_cast<int>(settings.integer("count"));
  o.seed = static_cast<std::uint64_t>(settings.integer("seed"));
  o.b_factor = settings.number("b-factor");
  o.hydrogens = settings.flag("hydrogens");
  o.factor = settings.number("factor");
  o.pdb2mrc_resolution = settings.number("pdb2mrc-resolution");
  o.views.preferred = settings.text("orientations") == "preferred";
  o.views.share = settings.number("preferred-share");
  o.views.spread = settings.number("preferred-spread");
  o.shift_sigma = settings.number("shift-sigma");
  o.ctf.on = settings.flag("ctf");
  o.ctf.voltage = settings.number("voltage");
  o.ctf.spherical_aberration = settings.number("cs");
  o.ctf.amplitude_contrast = settings.number("amplitude-contrast");
  std::tie(o.ctf.least_defocus, o.ctf.most_defocus) = number_pair(settings, "defocus");
  o.ctf.astigmatism = settings.number("astigmatism");
  o.ctf.phase_shift = settings.number("phase-shift");
  std::tie(o.ctf.least_b_factor, o.ctf.most_b_factor) = number_pair(settings, "envelope");
  std::tie(o.ctf.beam_tilt_x, o.ctf.beam_tilt_y) = number_pair(settings, "beam-tilt");
  o.noise.coloured = settings.text("noise") == "coloured";
  o.noise.falloff = settings.number("noise-falloff");
  o.noise_only = settings.flag("noise-only");
  o.randomise_phases_beyond = settings.number("randomise-phases-beyond");
  const std::string& start = settings.text("start");
  o.mirrored_start = start == "mirrored";
  if (start != "truth" && start != "mirrored") o.other_start = start;
  o.start_resolution = settings.number("start-resolution");
  if (!o.ctf.on)
    for (const char* name :
         {"voltage", "cs", "amplitude-contrast", "defocus", "astigmatism", "phase-shift", "envelope", "beam-tilt"})
      if (settings.given(name))
        throw UsageError(Problem{std::string("--") + name, "", "given without --ctf", "only with --ctf", "add --ctf"});
  return o;
}

std::vector<std::string> split_words(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) out.push_back(part);
  return out;
}

}  // namespace cryored
