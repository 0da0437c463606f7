#pragma once
// A structure made in the test: an irregular, asymmetric helix of carbons and nitrogens.

#include <cmath>

#include "simulation/density.hpp"

namespace cryored::test {

inline Structure small_structure(int atoms = 300, double radius = 12) {
  Structure s;
  s.path = "made in the test";
  double cx = 0, cy = 0, cz = 0;
  for (int i = 0; i < atoms; ++i) {
    const double t = 0.1 * i;
    s.atoms.push_back({radius * std::cos(t) * (1 + 0.01 * t), 0.8 * radius * std::sin(1.3 * t),
                       0.06 * (i - atoms / 2.0), i % 4 == 0 ? 7 : 6});
    cx += s.atoms.back().x;
    cy += s.atoms.back().y;
    cz += s.atoms.back().z;
  }
  for (auto& a : s.atoms) {
    a.x -= cx / atoms;
    a.y -= cy / atoms;
    a.z -= cz / atoms;
    s.radius = std::max(s.radius, std::sqrt(a.x * a.x + a.y * a.y + a.z * a.z));
  }
  return s;
}

}  // namespace cryored::test
