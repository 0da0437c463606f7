// Iterative projection and total variation, on images made to first order from known blobs.

#include "models/imaging/wave_methods.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/fourier/fft.hpp"
#include "core/imaging/electrons.hpp"
#include "phase_testing.hpp"

namespace {

using namespace cryored;
using namespace cryored_test;

const TestGroup group{48, 2, 6};

/// Phases of up to 0.3 rad, dose 40: I = (2 phi CTF / sqrt(1 - a^2)) / c + noise, as RELION normalises.
ParticleImages images(double noise) {
  ParticleImages out;
  out.box = group.box;
  out.pixel_size = group.pixel_size;
  out.dose = 40;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const double scale = 2 * 0.3 / background_contrast(out.dose, out.pixel_size);
  for (int i = 0; i < group.count; ++i) {
    CtfParameters parameters;
    parameters.defocus_u = 11000 + 1000 * i;
    parameters.defocus_v = parameters.defocus_u - 200;
    const Ctf ctf(parameters);
    HalfTransform half = forward(true_image(group, i));
    const std::vector<float> values = ctf_values(ctf, group.box, group.pixel_size);
    for (std::size_t k = 0; k < half.size(); ++k) half.data[k] *= values[k] * static_cast<float>(scale);
    const Map image = inverse(std::move(half), group.box);
    out.ctfs.push_back(parameters);
    for (const float v : image.data) out.pixels.push_back(v + static_cast<float>(noise) * normal(random));
  }
  return out;
}

double mean_correlation(ParticleImages& found) {
  double sum = 0;
  for (int i = 0; i < group.count; ++i) {
    const Map truth = true_image(group, i);
    sum += correlation(found.image(static_cast<std::size_t>(i)), truth.data.data(), truth.size()) / group.count;
  }
  return sum;
}

DeviceChoice cpu() { return choose_device("cpu", survey_gpus()); }

TEST(WaveMethods, FindThePhaseBetterThanTheImageShowsIt) {
  ParticleImages raw = images(1), iterative = raw, tv = raw;
  make_iterative({10, 10}, cpu(), 1)->retrieve(iterative);
  make_tv({10, 2}, cpu(), 1)->retrieve(tv);
  const double before = mean_correlation(raw);
  EXPECT_GT(mean_correlation(iterative), before + 0.1) << before;
  EXPECT_GT(mean_correlation(tv), before + 0.1) << before;
}

TEST(WaveMethods, TotalVariationSmoothsMoreTheStrongerItIs) {
  const auto variation = [](double strength) {
    ParticleImages found = images(1);
    make_tv({1, strength}, cpu(), 1)->retrieve(found);
    double steps = 0;
    for (std::size_t i = 0; i + 1 < found.pixels.size(); ++i) steps += std::abs(found.pixels[i + 1] - found.pixels[i]);
    return steps;
  };
  const double none = variation(0), some = variation(0.3), much = variation(1);
  EXPECT_LT(some, 0.8 * none);
  EXPECT_LT(much, 0.8 * some);
}

TEST(WaveMethods, StayFiniteForEveryFiniteImage) {
  ParticleImages odd = images(1);
  odd.pixels[0] = 1e30f;   // intensity far below 0
  odd.pixels[1] = -1e30f;  // and far above 1
  std::fill_n(odd.image(1), group.box * group.box, 40.0f);
  make_iterative({5, 10}, cpu(), 1)->retrieve(odd);
  EXPECT_TRUE(std::all_of(odd.pixels.begin(), odd.pixels.end(), [](float v) { return std::isfinite(v); }));
  ParticleImages again = images(1);
  again.pixels[0] = 1e30f;
  again.pixels[1] = -1e30f;
  make_tv({5, 1}, cpu(), 1)->retrieve(again);
  EXPECT_TRUE(std::all_of(again.pixels.begin(), again.pixels.end(), [](float v) { return std::isfinite(v); }));
}

TEST(WaveMethods, ThreadsChangeNothing) {
  const ParticleImages few = images(1);
  ParticleImages one = few, more;
  // Several batches.
  for (int i = 0; i < 5; ++i) {
    one.ctfs.insert(one.ctfs.end(), few.ctfs.begin(), few.ctfs.end());
    one.pixels.insert(one.pixels.end(), few.pixels.begin(), few.pixels.end());
  }
  more = one;
  make_tv({3, 0.5}, cpu(), 1)->retrieve(one);
  make_tv({3, 0.5}, cpu(), 3)->retrieve(more);
  EXPECT_EQ(one.pixels, more.pixels);
}

TEST(WaveMethods, DescriptionHoldsTheParameters) {
  EXPECT_NE(make_tv({7, 0.5}, cpu(), 1)->description(), make_tv({7, 0.6}, cpu(), 1)->description());
  EXPECT_NE(make_iterative({7, 8}, cpu(), 1)->description(), make_iterative({8, 8}, cpu(), 1)->description());
}

}  // namespace
