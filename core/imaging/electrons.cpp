#include "core/imaging/electrons.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "core/base/error.hpp"

namespace cryored {

double interaction_parameter(double voltage) {
  // 2 pi / (lambda E) (E0 + E) / (2 E0 + E), energies in eV: the same without m and h.
  constexpr double rest = 510998.95;
  const double energy = voltage * 1e3;
  return 2 * std::numbers::pi / (electron_wavelength(voltage) * energy) * (rest + energy) / (2 * rest + energy);
}

double background_contrast(double dose, double pixel_size) {
  if (!(dose > 0 && std::isfinite(dose)))
    throw UsageError(
        Problem{"dose", "", std::to_string(dose), "electrons per A^2, above 0", "give the total dose of the exposure"});
  if (!(pixel_size > 0 && std::isfinite(pixel_size)))
    throw UsageError(Problem{"pixel size", "", std::to_string(pixel_size), "A, above 0", "correct the pixel size"});
  return 1 / std::sqrt(dose * pixel_size * pixel_size);
}

void intensity_from_image(double contrast, std::size_t count, float* pixels) {
  const auto c = static_cast<float>(contrast);
  for (std::size_t i = 0; i < count; ++i) pixels[i] = 1 - c * pixels[i];
}

void image_from_intensity(double contrast, std::size_t count, float* pixels) {
  const auto c = static_cast<float>(1 / contrast);
  for (std::size_t i = 0; i < count; ++i) pixels[i] = (1 - pixels[i]) * c;
}

double displacement(const CtfParameters& parameters, double resolution) {
  const Ctf ctf(parameters);
  // Numerical gradient of the phase along spokes: one rule for every aberration there is.
  const double limit = 1 / resolution, step = limit / 128;
  double largest = 0;
  for (int spoke = 0; spoke < 16; ++spoke) {
    const double angle = 2 * std::numbers::pi * spoke / 16, x = std::cos(angle), y = std::sin(angle);
    const auto phase = [&](double k) { return ctf.gamma(k * x, k * y) + ctf.phase(k * x, k * y); };
    for (int i = 1; i <= 128; ++i)
      largest = std::max(largest, std::abs(phase(i * step) - phase((i - 1) * step)) / step);
  }
  return largest / (2 * std::numbers::pi);
}

std::size_t fast_even_size(std::size_t n) {
  for (n = std::max<std::size_t>(n + n % 2, 2);; n += 2) {
    std::size_t rest = n;
    for (const std::size_t prime : {2u, 3u, 5u})
      while (rest % prime == 0) rest /= prime;
    if (rest == 1) return n;
  }
}

std::size_t padded_box(std::size_t box, double pixel_size, const CtfParameters& ctf, double resolution) {
  const double finest = std::max(resolution, 2 * pixel_size);
  const double pixels = displacement(ctf, finest) / pixel_size;
  const double wanted = std::max(static_cast<double>(box) + pixels, 2 * pixels);
  // Real data stay far below: 5 um of defocus at 0.5 A per pixel want 4,000. A complex transform of 8,192 pixels takes
  // half a gigabyte, and more than one is needed.
  const double largest = std::max(8192.0, 2 * static_cast<double>(box));
  if (!(wanted <= largest))
    throw InputError(Problem{"CTF", "defocus, aberrations and pixel size",
                             "detail is moved by " + std::to_string(pixels) + " pixels",
                             "what fits a grid of " + std::to_string(static_cast<long>(largest)) + " pixels",
                             "check rlnDefocusU, rlnDefocusV and rlnImagePixelSize"});
  return fast_even_size(static_cast<std::size_t>(std::ceil(wanted)));
}

}  // namespace cryored
