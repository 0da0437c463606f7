#pragma once
// CTF parameters in RELION's STAR files, 3.0 (all columns with the particles) and 3.1 to 5 (optics groups).

#include <optional>
#include <string>
#include <vector>

#include "core/formats/star.hpp"
#include "core/imaging/ctf.hpp"

namespace cryored {

/// Reads the CTF of each row of a particle table. Columns, in the particle table or, where it lacks them, in the
/// optics table: rlnVoltage, rlnSphericalAberration, rlnAmplitudeContrast, rlnDefocusU, rlnDefocusV, rlnDefocusAngle
/// (these six are required), rlnPhaseShift, rlnCtfBfactor, rlnCtfScalefactor, rlnBeamTiltX, rlnBeamTiltY,
/// rlnEvenZernike, rlnOddZernike.
class CtfTable {
 public:
  /// `optics` is null for RELION 3.0. Throws InputError naming file, label and remedy when a required column is
  /// missing, or when an optics group has an anisotropic magnification (rlnMagMat00 .. 11), which is not supported.
  CtfTable(const StarTable& particles, const StarTable* optics);

  /// Throws InputError naming file, row and label for a value that is no number, or an unknown optics group.
  CtfParameters of_row(std::size_t row) const;

 private:
  std::string_view cell(std::size_t label, std::size_t row, std::size_t group_row) const;

  const StarTable& particles_;
  const StarTable* optics_;
  std::vector<std::optional<std::size_t>> in_particles_, in_optics_;
  std::optional<std::size_t> group_column_, group_in_optics_;
};

/// A list as RELION writes it, "[0.1,0,-2e-3]"; spaces around numbers are allowed. Throws InputError naming `where`.
std::vector<double> parse_coefficients(std::string_view text, const std::string& where);

}  // namespace cryored
