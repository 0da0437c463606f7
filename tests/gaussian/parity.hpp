#pragma once
// How far two reconstructions of one request are apart.

#include <string>

#include "core/reconstruct/request.hpp"

namespace cryored {

struct Parity {
  double relative_rms = 0;     ///< rms(a - b) / rms(b)
  double lowest_fsc = 1;       ///< over shells 0 .. cut
  double amplitude_error = 0;  ///< largest |sqrt(power a / power b) - 1| over these shells
};
Parity compare(const ReconstructRequest& request, const Map& ours, const Map& theirs);

/// Reconstructs the request, compares with RELION's result that lies beside it, prints a row of the parity
/// table and expects rms <= 1e-4, FSC >= 0.9999, amplitudes within 1e-3.
void expect_parity(const std::string& what, const std::string& star, bool skip_gridding = false);

}  // namespace cryored
