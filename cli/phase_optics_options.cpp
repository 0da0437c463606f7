#include "cli/phase_optics_options.hpp"

#include <fmt/format.h>

#include <tuple>

#include "cli/common_options.hpp"
#include "cli/run_program.hpp"
#include "cli/simulation_options.hpp"
#include "core/base/error.hpp"

namespace cryored {

std::vector<OptionSpec> phase_optics_specs(const PhaseOptics& usual) {
  using enum OptionKind;
  const auto text_of = [](auto value) { return fmt::format("{:g}", static_cast<double>(value)); };
  return {
      tool_option("box", integer, "N", text_of(usual.box), 16, 4096, "pixels, even"),
      tool_option("pixel-size", number, "A", text_of(usual.pixel_size), 0.1, 20, "pixel size in A"),
      tool_option("voltage", number, "KV", text_of(usual.ctf.voltage), 1, 2000, "acceleration voltage"),
      tool_option("cs", number, "MM", text_of(usual.ctf.spherical_aberration), 0, 20, "spherical aberration"),
      tool_option("amplitude-contrast", number, "Q", text_of(usual.ctf.amplitude_contrast), 0, 0.99,
                  "amplitude contrast"),
      tool_option("defocus", text, "LOW:HIGH", fmt::format("{:g}:{:g}", usual.least_defocus, usual.most_defocus),
                  "in A, uniform in this range"),
      tool_option("ice", number, "A", text_of(usual.ice), 0, 1e5, "thickness of the ice"),
      tool_option("b-factor", number, "B", text_of(usual.b_factor), 0, 1000, "B factor of every atom in A^2"),
  };
}

void take_phase_optics(const Settings& settings, PhaseOptics& o) {
  o.box = static_cast<std::size_t>(even_box(settings));
  o.pixel_size = settings.number("pixel-size");
  o.ctf.voltage = settings.number("voltage");
  o.ctf.spherical_aberration = settings.number("cs");
  o.ctf.amplitude_contrast = settings.number("amplitude-contrast");
  std::tie(o.least_defocus, o.most_defocus) = number_pair(settings, "defocus");
  if (o.least_defocus > o.most_defocus)
    throw UsageError(Problem{"--defocus", "", settings.text("defocus"), "LOW:HIGH, the smaller one first", ""});
  o.ice = settings.number("ice");
  o.b_factor = settings.number("b-factor");
  o.seed = static_cast<std::uint64_t>(settings.integer("seed"));
}

nlohmann::ordered_json optics_json(const PhaseOptics& o) {
  return {{"voltage_kV", o.ctf.voltage},
          {"spherical_aberration_mm", o.ctf.spherical_aberration},
          {"amplitude_contrast", o.ctf.amplitude_contrast},
          {"defocus_A", {o.least_defocus, o.most_defocus}},
          {"ice_A", o.ice},
          {"b_factor_A2", o.b_factor}};
}

}  // namespace cryored
