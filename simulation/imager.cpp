#include "simulation/imager.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/vector_clones.hpp"
#include "core/formats/mrc.hpp"
#include "core/formats/star.hpp"
#include "core/fourier/fft.hpp"
#include "core/imaging/ctf_star.hpp"
#include "simulation/image_stack.hpp"

namespace cryored {
namespace {

/// out[i] = a[i] b[i] c. In floats: products of std::complex look for NaN, which keeps them from being vectorised.
CRYORED_CLONES("default", "avx2")
void multiply(const std::complex<float>* a, const std::complex<float>* b, std::complex<float> c, std::size_t count,
              std::complex<float>* out) {
  const float cr = c.real(), ci = c.imag();
  for (std::size_t i = 0; i < count; ++i) {
    const float br = b[i].real() * cr - b[i].imag() * ci, bi = b[i].real() * ci + b[i].imag() * cr;
    const float ar = a[i].real(), ai = a[i].imag();
    out[i] = {ar * br - ai * bi, ar * bi + ai * br};
  }
}

}  // namespace

Imager::Imager(const Map& map, double pixel_size)
    : unit_(1 / (static_cast<double>(map.nx) * pixel_size)), half_(map.nx / 2 + 1, map.nx, 1) {
  const int radius = static_cast<int>(map.nx / 2) - 1;
  pixels_ = std::make_shared<SlicePixels>(slice_pixels(map.nx, radius));
  projector_ = std::make_shared<Projector>(map, 2, radius);
  transform_ = std::make_shared<ImageTransform>(map.nx);
  slice_.resize(pixels_->size());
  ctf_.resize(pixels_->size());
}

void Imager::slice(const View& view) {
  projector_->slice(*pixels_, view.rotation, slice_.data());
  if (view.ctf == nullptr) return;
  view.ctf->values(pixels_->kx.data(), pixels_->ky.data(), slice_.size(), unit_, ctf_.data());
  for (std::size_t i = 0; i < slice_.size(); ++i) slice_[i] *= ctf_[i];
  if (!view.ctf->has_phase()) return;
  for (std::size_t i = 0; i < slice_.size(); ++i)
    slice_[i] *= std::complex<float>(std::polar(1.0, view.ctf->phase(pixels_->kx[i] * unit_, pixels_->ky[i] * unit_)));
}

void Imager::transform(const View& view, std::complex<float>* half) {
  slice(view);
  const std::size_t n = pixels_->box, width = n / 2 + 1;
  const long r = pixels_->radius;
  // The move and the origin, from pixel 0 to n/2 (a change of sign in every second coefficient), in one phase.
  const double step = -2 * std::numbers::pi / static_cast<double>(n);
  const double mx = step * (view.x + static_cast<double>(n / 2)), my = step * (view.y + static_cast<double>(n / 2));
  std::complex<float> along_x[4096];
  if (width > 4096) throw InputError(Problem{"simulation", "box", std::to_string(n), "at most 8190 pixels", ""});
  // Powers of one phase, in double precision: a sine and a cosine for each would take longer than the slice.
  const std::complex<double> next_x = std::polar(1.0, mx), next_y = std::polar(1.0, my);
  std::complex<double> power = 1;
  for (long x = 0; x <= r; ++x, power *= next_x) along_x[x] = std::complex<float>(power);
  std::fill_n(half, width * n, std::complex<float>(0));
  const std::complex<float>* value = slice_.data();
  power = std::polar(1.0, -my * static_cast<double>(r));
  for (long y = -r; y <= r; ++y, power *= next_y) {
    const auto phase = std::complex<float>(power);
    std::complex<float>* row = half + static_cast<std::size_t>(y < 0 ? y + static_cast<long>(n) : y) * width;
    const auto reach = static_cast<long>(std::sqrt(static_cast<double>(r * r - y * y)));
    const long first = y < 0 ? 1 : 0;
    multiply(value, along_x + first, phase, static_cast<std::size_t>(reach + 1 - first), row + first);
    value += reach + 1 - first;
  }
  // Only half of the column kx = 0 is in the slice.
  for (long y = 1; y <= r; ++y)
    half[(n - static_cast<std::size_t>(y)) * width] = std::conj(half[static_cast<std::size_t>(y) * width]);
}

void Imager::image(const View& view, float* out) {
  transform(view, half_.data.data());
  transform_->inverse(half_.data.data(), out);
}

double Imager::variance(const View& view) {
  slice(view);
  double sum = 0;
  for (std::size_t i = 0; i < slice_.size(); ++i)
    if (pixels_->kx[i] != 0 || pixels_->ky[i] != 0) sum += 2 * std::norm(slice_[i]);
  return sum;
}

void project_particles(const Map& map, double pixel_size, const std::string& star_path, bool with_ctf,
                       const std::string& stack_path) {
  const StarFile star = read_star(star_path);
  const StarTable& rows = star.require("particles");
  std::optional<CtfTable> ctfs;
  if (with_ctf) ctfs.emplace(rows, star.find("optics"));
  constexpr const char* kLabels[] = {"rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst",
                                     "rlnOriginYAngst"};
  std::size_t column[5];
  for (int k = 0; k < 5; ++k) column[k] = rows.require_column(kLabels[k]);
  const Imager first(map, pixel_size);
  MrcStackWriter stack(stack_path, map.nx, map.nx, rows.rows(), pixel_size);
  make_images(stack, map.nx, rows.rows(), [&]() -> ImageMaker {
    return [&, imager = first](std::size_t i, float* image) mutable {
      double value[5];
      for (int k = 0; k < 5; ++k) value[k] = rows.number(i, column[k]);
      View view;
      view.rotation = rotation_from({value[0], value[1], value[2]});
      view.x = -value[3] / pixel_size;  // RELION's origins are the moves that bring the particle back
      view.y = -value[4] / pixel_size;
      std::optional<Ctf> ctf;
      if (ctfs) ctf.emplace(ctfs->of_row(i));
      view.ctf = ctf ? &*ctf : nullptr;
      imager.image(view, image);
    };
  });
  stack.close();
}

}  // namespace cryored
