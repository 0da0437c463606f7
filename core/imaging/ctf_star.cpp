#include "core/imaging/ctf_star.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "core/base/error.hpp"

namespace cryored {
namespace {

enum Label { voltage, cs, contrast, defocus_u, defocus_v, angle, phase, b_factor, scale, tilt_x, tilt_y, even, odd };
constexpr std::array kLabels = {"rlnVoltage",        "rlnSphericalAberration", "rlnAmplitudeContrast", "rlnDefocusU",
                                "rlnDefocusV",       "rlnDefocusAngle",        "rlnPhaseShift",        "rlnCtfBfactor",
                                "rlnCtfScalefactor", "rlnBeamTiltX",           "rlnBeamTiltY",         "rlnEvenZernike",
                                "rlnOddZernike"};
constexpr std::size_t kRequired = 6;

std::string file_of(const StarTable& table) { return table.file.empty() ? "STAR table" : table.file; }

double number_of(std::string_view text, const std::string& where, const char* field) {
  double value = 0;
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+') ++begin;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value))
    throw InputError(Problem{where, field, std::string(text), "a finite number", "correct the STAR file"});
  return value;
}

}  // namespace

std::vector<double> parse_coefficients(std::string_view text, const std::string& where) {
  const auto trim = [](std::string_view s) {
    while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
    while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
    return s;
  };
  std::string_view rest = trim(text);
  if (rest.size() < 2 || rest.front() != '[' || rest.back() != ']')
    throw InputError(
        Problem{where, "list of coefficients", std::string(text), "[number,number,...]", "correct the STAR file"});
  rest = rest.substr(1, rest.size() - 2);
  std::vector<double> out;
  while (!trim(rest).empty()) {
    const std::size_t comma = rest.find(',');
    out.push_back(number_of(trim(rest.substr(0, comma)), where, "list of coefficients"));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return out;
}

CtfTable::CtfTable(const StarTable& particles, const StarTable* optics) : particles_(particles), optics_(optics) {
  for (const char* label : kLabels) {
    in_particles_.push_back(particles.column(label));
    in_optics_.push_back(optics ? optics->column(label) : std::nullopt);
  }
  for (std::size_t i = 0; i < kRequired; ++i)
    if (!in_particles_[i] && !in_optics_[i])
      throw InputError(Problem{file_of(particles), kLabels[i], "no such column", "a value for each particle",
                               "estimate the CTF first (RELION's CtfFind job), or join its columns"});
  if (!optics) return;
  for (std::size_t row = 0; row < optics->rows(); ++row)
    for (const auto& [label, identity] : {std::pair("rlnMagMat00", 1.0), std::pair("rlnMagMat01", 0.0),
                                          std::pair("rlnMagMat10", 0.0), std::pair("rlnMagMat11", 1.0)})
      if (optics->has(label) && std::abs(optics->number(row, label) - identity) > 1e-9)
        throw InputError(Problem{file_of(*optics), label, std::string(optics->text(row, label)),
                                 "no anisotropic magnification", "extract the particles with it corrected"});
  for (const auto& there : in_particles_) {
    if (there) continue;
    group_in_optics_ = optics->require_column("rlnOpticsGroup");
    group_column_ = particles.require_column("rlnOpticsGroup");
    break;
  }
}

CtfParameters CtfTable::of_row(std::size_t row) const {
  std::size_t group_row = 0;
  if (group_column_) {
    const long group = particles_.integer(row, *group_column_);
    while (group_row < optics_->rows() && optics_->integer(group_row, *group_in_optics_) != group) ++group_row;
    if (group_row == optics_->rows())
      throw InputError(Problem{file_of(particles_), fmt::format("rlnOpticsGroup of row {}", row + 1),
                               std::to_string(group), "a group of the optics table", "correct the STAR file"});
  }
  const auto where = [&] { return fmt::format("{}, particle {}", file_of(particles_), row + 1); };
  const auto number = [&](Label label, double absent) {
    // An empty cell is no number: only a column that is not there leaves the usual value.
    if (!in_particles_[label] && !in_optics_[label]) return absent;
    return number_of(cell(label, row, group_row), where(), kLabels[label]);
  };
  const auto list = [&](Label label) {
    const std::string_view text = cell(label, row, group_row);
    return text.empty() ? std::vector<double>() : parse_coefficients(text, where() + ", " + kLabels[label]);
  };
  CtfParameters p;
  p.voltage = number(voltage, p.voltage);
  p.spherical_aberration = number(cs, p.spherical_aberration);
  p.amplitude_contrast = number(contrast, p.amplitude_contrast);
  p.defocus_u = number(defocus_u, 0);
  p.defocus_v = number(defocus_v, 0);
  p.defocus_angle = number(angle, 0);
  p.phase_shift = number(phase, 0);
  p.b_factor = number(b_factor, 0);
  p.scale = number(scale, 1);
  p.beam_tilt_x = number(tilt_x, 0);
  p.beam_tilt_y = number(tilt_y, 0);
  p.even_zernike = list(even);
  p.odd_zernike = list(odd);
  return p;
}

std::string_view CtfTable::cell(std::size_t label, std::size_t row, std::size_t group_row) const {
  if (in_particles_[label]) return particles_.text(row, *in_particles_[label]);
  if (in_optics_[label]) return optics_->text(group_row, *in_optics_[label]);
  return {};
}

}  // namespace cryored
