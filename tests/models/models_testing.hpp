#pragma once
// Helpers of the tests of models/: temporary folders, random networks, expectations on messages.

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <string>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "core/fourier/grid.hpp"

namespace cryored::testing {

/// A folder of its own for one test, removed at the end.
class TemporaryFolder {
 public:
  std::string file(const std::string& name) const { return folder_ / name; }
  std::string path() const { return folder_.path().string(); }

 private:
  cryored::TemporaryFolder folder_;
};

/// Runs `action`, which must throw an E whose message contains every one of `parts`.
template <typename E, typename Action, typename... Parts>
void expect_error(Action action, const Parts&... parts) {
  try {
    action();
  } catch (const E& e) {
    const std::string message = e.what();
    ([&] { EXPECT_NE(message.find(parts), std::string::npos) << "\"" << parts << "\" is not in: " << message; }(), ...);
    return;
  } catch (const std::exception& e) {
    FAIL() << "another type of error: " << e.what();
  }
  FAIL() << "no error was thrown";
}

/// A smooth blob-like "molecule" with noise: sum of Gaussians plus white noise.
inline Map molecule(std::size_t n, double noise, unsigned seed) {
  Map map(n, n, n);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (auto& v : map.data) v = static_cast<float>(noise) * normal(random);
  for (int blob = 0; blob < 30; ++blob) {
    double c[3];
    for (auto& x : c) x = static_cast<double>(n) / 2 + normal(random) * std::min<double>(5, static_cast<double>(n) / 8);
    for (std::size_t z = 0; z < n; ++z)
      for (std::size_t y = 0; y < n; ++y)
        for (std::size_t x = 0; x < n; ++x) {
          const double dx = static_cast<double>(x) - c[0], dy = static_cast<double>(y) - c[1],
                       dz = static_cast<double>(z) - c[2], r2 = dx * dx + dy * dy + dz * dz;
          if (r2 < 36) map(x, y, z) += static_cast<float>(std::exp(-r2 / 4));
        }
  }
  return map;
}

/// max |a - b| / max |b|
inline double relative_difference(const Map& a, const Map& b) {
  if (a.size() != b.size()) return 1e30;
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = std::max(difference, static_cast<double>(std::abs(a.data[i] - b.data[i])));
    largest = std::max(largest, static_cast<double>(std::abs(b.data[i])));
  }
  return difference / largest;
}

}  // namespace cryored::testing
