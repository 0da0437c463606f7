#include "core/reconstruct/confidence_table.hpp"

#include <algorithm>

namespace cryored {
namespace {

struct Between {
  std::size_t low, high;
  double share;  ///< of `high`
};

Between between(const std::vector<double>& nodes, double x) {
  if (!(x > nodes.front())) return {0, 0, 0};
  if (x >= nodes.back()) return {nodes.size() - 1, nodes.size() - 1, 0};
  const auto high = static_cast<std::size_t>(std::upper_bound(nodes.begin(), nodes.end(), x) - nodes.begin());
  return {high - 1, high, (x - nodes[high - 1]) / (nodes[high] - nodes[high - 1])};
}

}  // namespace

std::array<ConfidenceCorner, 8> confidence_corners(const ConfidenceTable& table, double shell_frequency,
                                                   double nominal_frequency, double shell_fsc) {
  const Between f = between(table.frequency, shell_frequency), n = between(table.nominal, nominal_frequency),
                c = between(table.half_fsc, shell_fsc);
  std::array<ConfidenceCorner, 8> corners{};
  for (unsigned bits = 0; bits < 8; ++bits) {
    const auto pick = [&](const Between& b, unsigned bit) { return bits & bit ? b.high : b.low; };
    const auto share = [&](const Between& b, unsigned bit) { return bits & bit ? b.share : 1 - b.share; };
    corners[bits] = {(pick(f, 1) * table.nominal.size() + pick(n, 2)) * table.half_fsc.size() + pick(c, 4),
                     share(f, 1) * share(n, 2) * share(c, 4)};
  }
  return corners;
}

double ConfidenceTable::at(double shell_frequency, double nominal_frequency, double shell_fsc) const {
  double sum = 0;
  for (const auto& corner : confidence_corners(*this, shell_frequency, nominal_frequency, shell_fsc))
    sum += corner.share * lambda[corner.node];
  return std::clamp(sum, 0.0, 1.0);  // of rounding
}

ConfidenceTable constant_confidence(double lambda) { return {{0}, {0}, {0}, {lambda}}; }

}  // namespace cryored
