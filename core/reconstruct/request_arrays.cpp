// The B and K arrays of a request: opened, compared with the STAR file, and scanned.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>

#include "core/base/error.hpp"
#include "core/fourier/fft.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kBlock = 65536;

// RELION imposes helical symmetry on K by interpolation and phase shifts, which leaves values
// such as -2e-12 beside weights of 3e6 (seen with 3.1.3). Beyond float rounding it is an error.
constexpr float kRounding = 1e-6f;

bool finite_bits(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) != 0x7f800000u; }

struct Scan {
  std::size_t first_bad = kNone;
  float largest = 0;
};

/// First value that is not finite or, of weights, negative beyond rounding. Branch-free counting
/// within blocks, so that the compiler vectorises it; places are looked for only where a block counts.
template <bool is_weight>
Scan scan(const float* values, std::size_t count) {
  const std::size_t blocks = (count + kBlock - 1) / kBlock;
  std::size_t first_infinite = kNone, first_negative = kNone;
  std::int32_t largest_bits = 0;  // of positive floats; they sort like integers
  // Waking the threads costs more than a scan of the arrays of a small box.
#pragma omp parallel for schedule(static) reduction(min                                                         \
                                                    : first_infinite, first_negative) reduction(max             \
                                                                                                : largest_bits) \
    num_threads(blocks >= 32 ? threads() : 1)
  for (std::size_t b = 0; b < blocks; ++b) {
    const float* from = values + b * kBlock;
    const std::size_t n = b + 1 < blocks ? kBlock : count - b * kBlock;
    std::uint32_t infinite = 0, negative = 0;
    std::int32_t high = 0;
    for (std::size_t i = 0; i < n; ++i) {
      infinite += static_cast<std::uint32_t>(!finite_bits(from[i]));
      if constexpr (is_weight) {
        negative += static_cast<std::uint32_t>(from[i] < 0);
        const auto bits = std::bit_cast<std::int32_t>(from[i]);
        high = bits > high ? bits : high;
      }
    }
    if (infinite != 0 && b < first_infinite) first_infinite = b;
    if (negative != 0 && b < first_negative) first_negative = b;
    if (high > largest_bits) largest_bits = high;
  }
  Scan result;
  if (first_infinite == kNone) result.largest = std::bit_cast<float>(largest_bits);
  // With an infinity about, no scale tells what is rounding: each negative value counts.
  const float lowest = first_infinite == kNone ? -kRounding * result.largest : 0;
  const std::size_t first = std::min(first_infinite, first_negative);
  if (first == kNone) return result;
  for (std::size_t i = first * kBlock; i < count && result.first_bad == kNone; ++i)
    if (!finite_bits(values[i]) || (is_weight && values[i] < lowest)) result.first_bad = i;
  return result;
}

void check_shape(const MrcFile& file, const char* label, const ReconstructRequest& r) {
  const MrcHeader& h = file.header();
  const auto p = static_cast<std::size_t>(r.padded_box());
  const std::size_t depth = r.dimensionality == 3 ? p : 1;
  const auto shown = [](std::size_t x, std::size_t y, std::size_t z) {
    return std::to_string(x) + " x " + std::to_string(y) + " x " + std::to_string(z);
  };
  if (h.nx != p / 2 + 1 || h.ny != p || h.nz != depth) {
    std::ostringstream allowed;
    allowed << shown(p / 2 + 1, p, depth) << " for box " << r.box << ", padding " << r.padding << ", "
            << r.dimensionality << "D";
    throw InputError(Problem{file.path(), std::string("dimensions (_") + label + " of " + r.star_path + ")",
                             shown(h.nx, h.ny, h.nz), allowed.str(),
                             "the STAR file and the MRC file are not of the same run: let RELION write both again"});
  }
  if (!file.float_data())
    throw InputError(Problem{file.path(), "MRC header mode (word 4)",
                             std::to_string(h.mode) + (h.swapped ? ", big-endian" : ""),
                             "2 (float32, little-endian), as RELION writes it", "let RELION write the file again"});
}

template <bool is_weight>
void check_values(const MrcFile& file, const char* label) {
  const MrcHeader& h = file.header();
  const float* values = file.float_data();
  const Scan result = scan<is_weight>(values, h.nx * h.ny * h.nz);
  if (result.first_bad != kNone) {
    const std::size_t at = result.first_bad;
    std::ostringstream found;
    found << values[at] << " at voxel (x, y, z) = (" << at % h.nx << ", " << at / h.nx % h.ny << ", "
          << at / h.nx / h.ny << ")";
    throw InputError(
        Problem{file.path(), std::string("_") + label, found.str(),
                is_weight ? "finite numbers, 0 or more (or within rounding, 1e-6 of the largest)" : "finite numbers",
                "the particles, their CTF or noise values hold a bad number: check the particle "
                "STAR file and the last iteration's _model.star, then run the iteration again"});
  }
  if (is_weight && result.largest == 0)
    throw InputError(Problem{file.path(), std::string("_") + label, "zeros only", "at least one positive weight",
                             "no particle contributed to this reference: check the particle STAR file, or use "
                             "fewer classes"});
}

}  // namespace

RequestArrays open_arrays(const ReconstructRequest& request) {
  RequestArrays arrays{MrcFile(request.data_real), MrcFile(request.data_imag), MrcFile(request.weight)};
  check_shape(arrays.real, "rlnExtReconsDataReal", request);
  check_shape(arrays.imag, "rlnExtReconsDataImag", request);
  check_shape(arrays.weight, "rlnExtReconsWeight", request);
  check_values<false>(arrays.real, "rlnExtReconsDataReal");
  check_values<false>(arrays.imag, "rlnExtReconsDataImag");
  check_values<true>(arrays.weight, "rlnExtReconsWeight");
  return arrays;
}

}  // namespace cryored
