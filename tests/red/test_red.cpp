// Eq. (17) on RELION's grid: the limits lambda 0 and 1, the formula itself, and the way to the
// denoiser's voxel size and back.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "core/base/error.hpp"
#include "core/reconstruct/confidence.hpp"
#include "core/reconstruct/red.hpp"
#include "tests/red/request_fixture.hpp"

namespace cryored {
namespace {

constexpr double pixel = 2.0;

struct Case {
  TemporaryFolder folder;
  ReconstructRequest request;
  RequestArrays arrays;
  explicit Case(const Synthetic& s) : request(read_request(write_synthetic(folder, s))), arrays(open_arrays(request)) {}
  std::vector<double> lambda(double value, double voxel = 0) const {
    auto shells = usable_shells(request, pixel, voxel);
    for (double& v : shells) v *= value;
    return shells;
  }
};

const Symmetry none = parse_symmetry("C1");

RedWeights red_weights(const ReconstructRequest& request, const RequestArrays& arrays,
                       const ReconstructOptions& options = {}) {
  return {fourier_weights(request, arrays, Prior::tau2, options),
          fourier_weights(request, arrays, Prior::none, options)};
}

double relative(const Map& a, const Map& b) { return relative_difference(a, b, static_cast<double>(a.nx)); }

class Paddings : public ::testing::TestWithParam<int> {};

TEST_P(Paddings, LambdaZeroIsTheGaussianPath) {
  Synthetic s;
  s.padding = GetParam();
  const Case c(s);
  const Map expected = reconstruct_gaussian(c.request, c.arrays);
  RedWeights weights = red_weights(c.request, c.arrays);
  const HalfBall ball = weights.tau2.ball;
  const Map m = unregularised_map(c.request, c.arrays, weights.none);
  FunctionDenoiser denoiser(0, [](const Map& map) { return scaled(map, -3); });
  const DenoiserPass pass = denoise(c.request, m, pixel, denoiser, none);
  EXPECT_GT(relative(pass.denoised, m), 3);  // f does a lot, and yet:
  const Map found =
      finish(c.request, ball, red_spectrum(c.request, c.arrays, std::move(weights), m, pass.denoised, c.lambda(0)));
  EXPECT_LT(relative(found, expected), 1e-6);
}

TEST_P(Paddings, LambdaOneAndTheIdentityGiveTheUnregularisedMap) {
  Synthetic s;
  s.padding = GetParam();
  const Case c(s);
  RedWeights weights = red_weights(c.request, c.arrays);
  const HalfBall ball = weights.tau2.ball;
  const Map m = unregularised_map(c.request, c.arrays, weights.none);
  const Map gaussian = reconstruct_gaussian(c.request, c.arrays);
  // Voxel 2.15 A: another box and a Nyquist frequency (4.3 A) beyond the cut (4.57 A).
  FunctionDenoiser denoiser(2.15, [](const Map& map) { return map; });
  const DenoiserPass pass = denoise(c.request, m, pixel, denoiser, none);
  EXPECT_NE(pass.boxes.resampled, m.nx);
  const Map found = finish(c.request, ball,
                           red_spectrum(c.request, c.arrays, std::move(weights), m, pass.denoised, c.lambda(1, 2.15)));
  const auto with = compare_shells(found, m), without = compare_shells(gaussian, m);
  for (std::size_t shell = 1; shell <= 14; ++shell) {
    EXPECT_GT(with.fsc[shell], 0.99999) << shell;
    EXPECT_NEAR(with.amplitude[shell], 1, 1e-4) << shell;
  }
  EXPECT_LT(without.amplitude[10], 0.7);  // the Gaussian map is another one
}

/// What a network leaves in the corners must not drown the map where maps are compared.
TEST_P(Paddings, AsSeenADenoisedMapIsWhatTheDenoiserReturned) {
  Synthetic s;
  s.padding = GetParam();
  const Case c(s);
  const Map m = unregularised_map(c.request, c.arrays);
  Map given, returned;
  FunctionDenoiser denoiser(0, [&](const Map& map) {
    given = returned = map;
    for (std::size_t i = 0; i < map.size(); ++i) returned.data[i] += i % 3 == 0 ? 0.01f : -0.02f;
    return returned;
  });
  const DenoiserPass pass = denoise(c.request, m, pixel, denoiser, none);
  EXPECT_LT(relative(as_seen(c.request, m), given), 1e-7);
  EXPECT_LT(relative(as_seen(c.request, pass.denoised), returned), 1e-6);
  EXPECT_GT(relative(pass.denoised, returned), s.padding == 1 ? 0.1 : 0.01) << "a difference to be seen";
}

/// The same for a denoiser that halves: eq. (17) without any approximation, as F(f) = F(B/K) / 2 everywhere.
TEST_P(Paddings, ScalingDenoiserFollowsEquation17Exactly) {
  Synthetic s;
  s.padding = GetParam();
  s.fudge = 2;
  const Case c(s);
  ReconstructOptions options;
  options.skip_gridding = true;
  RedWeights weights = red_weights(c.request, c.arrays, options);
  const HalfBall ball = weights.tau2.ball;
  const BallWeights n_k = weights.none.n;
  const Map m = unregularised_map(c.request, c.arrays, weights.none);
  FunctionDenoiser denoiser(0, [](const Map& map) { return scaled(map, 0.5f); });
  const DenoiserPass pass = denoise(c.request, m, pixel, denoiser, none);
  const auto lambda = c.lambda(0.7);
  const BallSpectrum found = red_spectrum(c.request, c.arrays, std::move(weights), m, pass.denoised, lambda);
  const float *re = c.arrays.real.float_data(), *im = c.arrays.imag.float_data(), *k = c.arrays.weight.float_data();
  const long p = c.request.padded_box();
  double difference = 0, power = 0;
  long compared = 0;
  for (const auto& column : ball.columns)
    for (int kz = -column.reach; kz <= column.reach; ++kz) {
      const long index = (((kz + p) % p) * p + (column.ky + p) % p) * (p / 2 + 1) + column.kx;
      const double r = std::sqrt(column.kx * column.kx + column.ky * column.ky + kz * kz) / s.padding;
      const auto shell = static_cast<std::size_t>(std::lround(r));
      const double tau2 = c.request.tau2[shell], volume = std::pow(s.padding, 3);
      const std::complex<double> b(static_cast<double>(re[index]), static_cast<double>(im[index]));
      const double kk = static_cast<double>(k[index]);
      const std::size_t i = column.offset + static_cast<std::size_t>(column.reach + kz);
      if (tau2 == 0 || static_cast<double>(n_k[i]) * kk < 0.999) continue;  // RELION's floor of K is in force
      const double inverse = 1 / (volume * s.fudge * tau2);
      const auto expected = (b + lambda[shell] * 0.5 * (b / kk) * inverse) / (kk + inverse);
      difference += std::norm(std::complex<double>(found[i]) - expected);
      power += std::norm(expected);
      ++compared;
    }
  EXPECT_GT(compared, 0.9 * static_cast<double>(ball.size));
  EXPECT_LT(std::sqrt(difference / power), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(OneAndTwo, Paddings, ::testing::Values(1, 2));

/// Any denoiser, against sums written out in double: map, mask, denoiser, transform and eq. (17).
TEST(Red, NonLinearDenoiserAgainstBruteForce) {
  Synthetic s;
  s.box = 12;
  s.current_size = 10;
  const Case c(s);
  ReconstructOptions options;
  options.skip_gridding = true;
  RedWeights weights = red_weights(c.request, c.arrays, options);
  const HalfBall ball = weights.tau2.ball;
  const BallWeights n_w = weights.tau2.n, n_k = weights.none.n;
  const Map m = unregularised_map(c.request, c.arrays, weights.none);
  const auto squashed = [](const Map& map) {
    Map out = map;
    for (float& v : out.data) v = v > 0 ? 1.2f * v : 0.1f * v;
    return out;
  };
  FunctionDenoiser denoiser(0, squashed);
  const DenoiserPass pass = denoise(c.request, m, pixel, denoiser, none);
  const auto lambda = c.lambda(0.6);
  const BallSpectrum found = red_spectrum(c.request, c.arrays, std::move(weights), m, pass.denoised, lambda);

  const int n = s.box;
  const float *re = c.arrays.real.float_data(), *im = c.arrays.imag.float_data();
  const auto file_index = [n](int kx, int ky, int kz) {
    return static_cast<std::size_t>((((kz + n) % n) * n + (ky + n) % n) * (n / 2 + 1) + kx);
  };
  const auto for_ball = [&](auto use) {
    for (const auto& col : ball.columns)
      for (int kz = -col.reach; kz <= col.reach; ++kz)
        use(col.kx, col.ky, kz, col.offset + static_cast<std::size_t>(col.reach + kz));
  };
  const auto phase = [n](int kx, int ky, int kz, int x, int y, int z) {
    return std::polar(1.0, 2 * std::numbers::pi * (kx * (x - n / 2) + ky * (y - n / 2) + kz * (z - n / 2)) / n);
  };
  // m: unnormalised inverse sum over the whole Hermitian ball, / N; then mask and sinc^2.
  std::vector<double> map(m.size(), 0.0), share(m.size()), correction(m.size());
  double mean = 0, total = 0;
  for (int z = 0; z < n; ++z)
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        const std::size_t v = static_cast<std::size_t>((z * n + y) * n + x);
        for_ball([&](int kx, int ky, int kz, std::size_t i) {
          const std::complex<double> b(static_cast<double>(re[file_index(kx, ky, kz)]),
                                       static_cast<double>(im[file_index(kx, ky, kz)]));
          map[v] += (kx == 0 ? 1 : 2) * (b * static_cast<double>(n_k[i]) * phase(kx, ky, kz, x, y, z)).real() / n;
        });
        const double r = std::hypot(x - n / 2, y - n / 2, z - n / 2), t = std::numbers::pi * r / n;
        share[v] = r < n / 2 ? 0 : r > n / 2 + 3 ? 1 : 0.5 + 0.5 * std::cos(std::numbers::pi * (n / 2 + 3 - r) / 3);
        correction[v] = r > 0 ? std::pow(std::sin(t) / t, 2) : 1;
        mean += share[v] * map[v];
        total += share[v];
      }
  mean /= total;
  std::vector<double> denoised(map.size());
  for (std::size_t v = 0; v < map.size(); ++v) {
    map[v] = ((1 - share[v]) * map[v] + share[v] * mean) / correction[v];
  }
  // The denoiser sees sinc^2 undone beyond N/2 (softly over 3 voxels); f(m) = m + what it changed.
  for (int z = 0; z < n; ++z)
    for (int y = 0; y < n; ++y)
      for (int x = 0; x < n; ++x) {
        const std::size_t v = static_cast<std::size_t>((z * n + y) * n + x);
        const double r = std::hypot(x - n / 2, y - n / 2, z - n / 2), u = std::clamp((r - n / 2) / 3, 0.0, 1.0);
        const double seen = map[v] * (1 - u * (1 - correction[v]));
        denoised[v] = map[v] + (seen > 0 ? 0.2 * seen : -0.9 * seen) / (1 - u * (1 - correction[v]));
        EXPECT_NEAR(static_cast<double>(m.data[v]), map[v], 1e-3 * std::abs(map[v]) + 1e-5);
      }
  const auto transform = [&](const std::vector<double>& values, int kx, int ky, int kz) {
    std::complex<double> sum = 0;
    for (int z = 0; z < n; ++z)
      for (int y = 0; y < n; ++y)
        for (int x = 0; x < n; ++x) {
          const std::size_t v = static_cast<std::size_t>((z * n + y) * n + x);
          sum += values[v] * correction[v] * std::conj(phase(kx, ky, kz, x, y, z));
        }
    return sum * static_cast<double>(n) / std::pow(n, 3);
  };
  std::vector<std::complex<double>> before(ball.size), after(ball.size);
  std::vector<double> cross(static_cast<std::size_t>(n), 0.0), power(cross);
  const auto shell_of = [](int kx, int ky, int kz) {
    return static_cast<std::size_t>(std::lround(std::sqrt(kx * kx + ky * ky + kz * kz)));
  };
  for_ball([&](int kx, int ky, int kz, std::size_t i) {
    before[i] = transform(map, kx, ky, kz);
    after[i] = transform(denoised, kx, ky, kz);
    cross[shell_of(kx, ky, kz)] += (std::conj(before[i]) * after[i]).real();
    power[shell_of(kx, ky, kz)] += std::norm(before[i]);
  });
  double difference = 0, norm = 0, moved = 0;
  for_ball([&](int kx, int ky, int kz, std::size_t i) {
    const std::size_t shell = shell_of(kx, ky, kz);
    const std::complex<double> b(static_cast<double>(re[file_index(kx, ky, kz)]),
                                 static_cast<double>(im[file_index(kx, ky, kz)]));
    const double alpha = std::clamp(cross[shell] / power[shell], 0.0, 1.0);
    const double w = static_cast<double>(n_w[i]), kk = static_cast<double>(n_k[i]);
    const auto f = after[i] + alpha * (b * kk - before[i]);
    const auto expected = b * w + lambda[shell] * (1 - w / kk) * f;
    difference += std::norm(std::complex<double>(found[i]) - expected);
    norm += std::norm(expected);
    moved += std::norm(expected - b * w);
  });
  EXPECT_GT(moved, 1e-3 * norm);
  EXPECT_LT(std::sqrt(difference / norm), 2e-4);
}

TEST(Red, ShellsOfLambdaZeroAreGaussian) {
  Synthetic s;
  const Case c(s);
  RedWeights weights = red_weights(c.request, c.arrays);
  const HalfBall ball = weights.tau2.ball;
  const BallSpectrum gaussian = weighted_data(c.request, c.arrays, weights.tau2);
  const Map m = unregularised_map(c.request, c.arrays, weights.none);
  std::vector<double> lambda(static_cast<std::size_t>(s.box / 2 + 1), 0.0);
  lambda[6] = 1;
  const BallSpectrum found = red_spectrum(c.request, c.arrays, std::move(weights), m, scaled(m, 0.5f), lambda);
  bool changed = false;
  std::vector<int> shells(static_cast<std::size_t>(2 * ball.radius + 1));
  for (const auto& column : ball.columns) {
    column_shells(c.request, column, shells.data());
    for (std::size_t j = 0; j <= 2 * static_cast<std::size_t>(column.reach); ++j) {
      const std::size_t i = column.offset + j;
      if (shells[j] == 6)
        changed = changed || found[i] != gaussian[i];
      else
        ASSERT_EQ(found[i], gaussian[i]) << "shell " << shells[j];
    }
  }
  EXPECT_TRUE(changed);
}

/// The way to the denoiser's voxel size and back, with something to carry: half of every coefficient.
TEST(Denoise, HalvesUpToItsNyquistFrequencyAndNothingBeyond) {
  Synthetic s;
  s.box = 48;
  s.current_size = 44;
  const Case c(s);
  Map m = unregularised_map(c.request, c.arrays);
  const Map mask = spherical_mask(48, 15, 8);
  const auto masked = [&](Map map) {
    for (std::size_t i = 0; i < map.size(); ++i) map.data[i] *= mask.data[i];
    return map;
  };
  // 3.1 A: Nyquist at 6.2 A, shell 15.5 of 48 voxels of 2 A.
  FunctionDenoiser denoiser(3.1, [](const Map& map) { return scaled(map, 0.5f); });
  EXPECT_EQ(usable_shells(c.request, pixel, 3.1)[14], 1);
  EXPECT_EQ(usable_shells(c.request, pixel, 3.1)[15], 0);

  // A map without power beyond the denoiser's Nyquist frequency comes back but for the mask's tails.
  const Map low = masked(fourier_resize(fourier_resize(m, 26), 48));
  const DenoiserPass pass = denoise(c.request, low, pixel, denoiser, none);
  EXPECT_NEAR(pass.boxes.voxel_size, 3.1, 3.1e-3);
  auto shells = compare_shells(pass.denoised, low);
  for (std::size_t i = 1; i <= 12; ++i) {
    EXPECT_NEAR(shells.amplitude[i], 0.5, 5e-4) << i;
    EXPECT_GT(shells.fsc[i], 0.9999) << i;
  }
  // With noise up to the cut, what the sharp edge at Nyquist rings beyond the box is lost.
  const Map full = masked(m);
  const Map found = denoise(c.request, full, pixel, denoiser, none).denoised;
  shells = compare_shells(found, full);
  for (std::size_t i = 1; i <= 14; ++i) {
    EXPECT_NEAR(shells.amplitude[i], 0.5, 5e-3) << i;
    EXPECT_GT(shells.fsc[i], 0.99) << i;
  }
  // The cube |kx| < Nyquist reaches shell 27 in its corners; on the axes nothing changes beyond it.
  const HalfTransform before = forward(full), after = forward(found);
  double change = 0, power = 0;
  for (std::size_t x = 17; x < 23; ++x) {
    change += static_cast<double>(std::norm(after(x, 0, 0) - before(x, 0, 0)));
    power += static_cast<double>(std::norm(before(x, 0, 0)));
  }
  EXPECT_LT(std::sqrt(change / power), 0.05);
}

TEST(Denoise, AveragesOverTheSymmetry) {
  Synthetic s;
  const Case c(s);
  const Map m = symmetrise(blobs(32, 2, 4), parse_symmetry("C4"), pixel);
  const Map feature = blobs(32, 2, 9);
  FunctionDenoiser denoiser(0, [&](const Map& map) {
    Map out = map;
    for (std::size_t i = 0; i < out.size(); ++i) out.data[i] += feature.data[i];
    return out;
  });
  const Map found = denoise(c.request, m, pixel, denoiser, parse_symmetry("C4")).denoised;
  const Map average = symmetrise(feature, parse_symmetry("C4"), pixel);
  Map expected = m;
  for (std::size_t i = 0; i < m.size(); ++i) expected.data[i] += average.data[i];
  EXPECT_LT(relative_difference(found, expected, 13), 1e-5);
}

TEST(Denoise, WrongOutputIsAnError) {
  Synthetic s;
  const Case c(s);
  const Map m = blobs(32, 2, 4);
  FunctionDenoiser other_box(0, [](const Map& map) { return window(map, 30); });
  EXPECT_THROW(denoise(c.request, m, pixel, other_box, none), SystemError);
  FunctionDenoiser not_finite(0, [](const Map& map) {
    Map out = map;
    out.data[77] = std::numeric_limits<float>::quiet_NaN();
    return out;
  });
  EXPECT_THROW(denoise(c.request, m, pixel, not_finite, none), SystemError);
}

TEST(Pipeline, SpectrumOfAndFinishAreLinearInversesInsideTheSphere) {
  for (int padding : {1, 2}) {
    Synthetic s;
    s.padding = padding;
    s.current_size = 32;
    const Case c(s);
    const HalfBall ball(cut_radius(c.request), 3);
    const Map a = blobs(32, 1.6, 1), b = blobs(32, 1.6, 2);
    Map sum = a;
    for (std::size_t i = 0; i < a.size(); ++i) sum.data[i] = 2 * a.data[i] - 3 * b.data[i];
    const BallSpectrum fa = spectrum_of(c.request, ball, a), fb = spectrum_of(c.request, ball, b);
    const BallSpectrum fs = spectrum_of(c.request, ball, sum);
    double difference = 0, power = 0;
    for (std::size_t i = 0; i < fs.size(); ++i) {
      difference += static_cast<double>(std::norm(fs[i] - (2.0f * fa[i] - 3.0f * fb[i])));
      power += static_cast<double>(std::norm(fs[i]));
    }
    EXPECT_LT(std::sqrt(difference / power), 1e-5);
    EXPECT_LT(relative_difference(finish(c.request, ball, fa), a, 15), 1e-3) << padding;
  }
}

}  // namespace
}  // namespace cryored
