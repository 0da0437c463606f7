#include "preprocessing/phase/normalise.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"

namespace cryored {
namespace {

struct Moments {
  double sum = 0, square = 0, count = 0;
  void add(double v) {
    sum += v;
    square += v * v;
    ++count;
  }
  double mean() const { return sum / count; }
  double sd() const { return std::sqrt(std::max(0.0, square / count - mean() * mean())); }
};

}  // namespace

bool normalise_background(float* image, std::size_t box, double radius) {
  Moments outside, all;
  const double centre = static_cast<double>(box / 2);
  const double shift = image[0];  // the sums keep their digits whatever the offset
  for (std::size_t y = 0; y < box; ++y)
    for (std::size_t x = 0; x < box; ++x) {
      const double v = image[y * box + x] - shift;
      all.add(v);
      if (std::hypot(static_cast<double>(x) - centre, static_cast<double>(y) - centre) > radius) outside.add(v);
    }
  if (outside.count == 0)
    throw UsageError(Problem{"--particle-diameter", "", std::to_string(2 * radius) + " pixels",
                             "a circle that leaves some background in the box of " + std::to_string(box) + " pixels",
                             "give the particle's diameter in A"});
  const double sd = std::max(outside.sd(), 0.1 * all.sd());
  if (!(sd > 0) || !std::isfinite(sd)) return false;
  const double mean = outside.mean() + shift;
  for (std::size_t i = 0; i < box * box; ++i) image[i] = static_cast<float>((image[i] - mean) / sd);
  return true;
}

}  // namespace cryored
