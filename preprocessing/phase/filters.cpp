#include "preprocessing/phase/filters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <exception>
#include <numbers>

#include "core/fourier/fft.hpp"
#include "core/imaging/electrons.hpp"

namespace cryored {
namespace {

using Complex = std::complex<float>;

/// image -> inverse(filter * forward(image)) on a grid of `edge` pixels, the image in its middle.
template <typename Filter>
void apply(float* image, std::size_t box, std::size_t edge, double pixel_size, const Filter& filter) {
  Map map(edge, edge, 1);
  const std::size_t corner = edge / 2 - box / 2;
  if (edge > box) map.fill(0);
  for (std::size_t y = 0; y < box; ++y) std::copy_n(image + y * box, box, &map(corner, corner + y, 0));
  HalfTransform half = forward(map);
  const double step = 1 / (static_cast<double>(edge) * pixel_size);
  for (std::size_t y = 0; y < half.ny; ++y) {
    const double ky = static_cast<double>(signed_frequency(y, half.ny)) * step;
    for (std::size_t x = 0; x < half.nx; ++x) half(x, y, 0) *= filter(static_cast<double>(x) * step, ky);
  }
  const Map out = inverse(std::move(half), edge);
  for (std::size_t y = 0; y < box; ++y) std::copy_n(&out(corner, corner + y, 0), box, image + y * box);
}

/// Runs work(i) for each image; the first exception ends up here.
template <typename Work>
void each_image(const ParticleImages& images, int threads, const Work& work) {
  std::exception_ptr failure;
#pragma omp parallel for num_threads(std::max(1, threads)) schedule(dynamic)
  for (std::size_t i = 0; i < images.count(); ++i) {
    try {
      const ThreadsHere one(1);
      work(i);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

Complex without_phase(const Ctf& ctf, double value, double kx, double ky) {
  if (!ctf.has_phase()) return {static_cast<float>(value), 0};
  return std::polar(static_cast<float>(value), static_cast<float>(-ctf.phase(kx, ky)));
}

class Lowpass : public PhaseMethod {
 public:
  Lowpass(const LowpassOptions& options, int threads) : options_(options), threads_(threads) {}

  void retrieve(ParticleImages& images) override {
    const double low = 0.9 / options_.resolution, high = 1.1 / options_.resolution;
    each_image(images, threads_, [&](std::size_t i) {
      apply(images.image(i), images.box, images.box, images.pixel_size, [&](double kx, double ky) {
        const double k = std::hypot(kx, ky);
        if (k <= low) return 1.0f;
        if (k >= high) return 0.0f;
        return static_cast<float>(0.5 + 0.5 * std::cos(std::numbers::pi * (k - low) / (high - low)));
      });
    });
  }
  std::string description() const override { return fmt::format("lowpass, {} A", options_.resolution); }

 private:
  LowpassOptions options_;
  int threads_;
};

class Flip : public PhaseMethod {
 public:
  explicit Flip(int threads) : threads_(threads) {}

  void retrieve(ParticleImages& images) override {
    each_image(images, threads_, [&](std::size_t i) {
      const Ctf ctf(images.ctfs[i]);
      apply(images.image(i), images.box, images.box, images.pixel_size,
            [&](double kx, double ky) { return without_phase(ctf, ctf.value(kx, ky) < 0 ? -1 : 1, kx, ky); });
    });
  }
  std::string description() const override { return "flip"; }

 private:
  int threads_;
};

class Wiener : public PhaseMethod {
 public:
  Wiener(const WienerOptions& options, int threads) : options_(options), threads_(threads) {}

  void check(const CtfParameters& ctf, std::size_t box, double pixel_size) const override {
    padded_box(box, pixel_size, ctf);
  }
  void retrieve(ParticleImages& images) override {
    each_image(images, threads_, [&](std::size_t i) {
      const Ctf ctf(images.ctfs[i]);
      const std::size_t edge = padded_box(images.box, images.pixel_size, images.ctfs[i]);
      apply(images.image(i), images.box, edge, images.pixel_size, [&](double kx, double ky) {
        const double value = ctf.value(kx, ky);
        const double noise = std::exp(options_.b_factor * (kx * kx + ky * ky) / 2) / options_.snr;
        return without_phase(ctf, value / (value * value + noise), kx, ky);
      });
    });
  }
  std::string description() const override {
    return fmt::format("wiener, snr {}, b {} A^2", options_.snr, options_.b_factor);
  }

 private:
  WienerOptions options_;
  int threads_;
};

}  // namespace

std::unique_ptr<PhaseMethod> make_lowpass(const LowpassOptions& options, int threads) {
  return std::make_unique<Lowpass>(options, threads);
}
std::unique_ptr<PhaseMethod> make_flip(int threads) { return std::make_unique<Flip>(threads); }
std::unique_ptr<PhaseMethod> make_wiener(const WienerOptions& options, int threads) {
  return std::make_unique<Wiener>(options, threads);
}

}  // namespace cryored
