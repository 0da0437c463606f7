#include "tests/gaussian/parity.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/fourier/shells.hpp"
#include "core/reconstruct/gaussian.hpp"

namespace cryored {

Parity compare(const ReconstructRequest& request, const Map& ours, const Map& theirs) {
  Parity parity;
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    difference += std::pow(static_cast<double>(ours.data[i]) - static_cast<double>(theirs.data[i]), 2);
    power += std::pow(static_cast<double>(theirs.data[i]), 2);
  }
  parity.relative_rms = std::sqrt(difference / power);
  const HalfTransform a = forward(ours), b = forward(theirs);
  const auto correlation = fsc(a, b), power_a = shell_power(a), power_b = shell_power(b);
  const auto cut = static_cast<std::size_t>(std::min(request.current_size / 2, request.box / 2));
  for (std::size_t s = 0; s <= cut; ++s) {
    parity.lowest_fsc = std::min(parity.lowest_fsc, correlation[s]);
    parity.amplitude_error = std::max(parity.amplitude_error, std::abs(std::sqrt(power_a[s] / power_b[s]) - 1));
  }
  return parity;
}

void expect_parity(const std::string& what, const std::string& star, bool skip_gridding) {
  SCOPED_TRACE(what + ": " + star);
  const ReconstructRequest request = read_request(star);
  const RequestArrays arrays = open_arrays(request);
  ReconstructOptions options;
  options.skip_gridding = skip_gridding;
  const Map ours = reconstruct_gaussian(request, arrays, options);
  const Map theirs = read_mrc(request.result);
  ASSERT_EQ(ours.size(), theirs.size());
  const Parity parity = compare(request, ours, theirs);
  std::printf(
      "PARITY | %-38s | %dD | box %3d | padding %.3g | current %3d | rms %.1e | FSC >= %.7f | amplitudes %.1e\n",
      what.c_str(), request.dimensionality, request.box, request.padding, request.current_size, parity.relative_rms,
      parity.lowest_fsc, parity.amplitude_error);
  EXPECT_LE(parity.relative_rms, 1e-4);
  EXPECT_GE(parity.lowest_fsc, 0.9999);
  EXPECT_LE(parity.amplitude_error, 1e-3);
}

}  // namespace cryored
