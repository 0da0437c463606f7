// The loss of the denoiser and its targets, against sums over the transforms.

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "tests/training/blob_pairs.hpp"
#include "training/validation.hpp"

namespace cryored {
namespace {

/// Error and power per shell of `output` against `truth`, of which the target keeps `filter`.
struct Sums {
  std::vector<double> error, power;
};

Sums sums(const Map& output, const Map& truth, const std::vector<double>& filter) {
  const HalfTransform a = forward(output), b = forward(truth);
  Sums s{std::vector<double>(filter.size()), std::vector<double>(filter.size())};
  for (std::size_t z = 0; z < a.nz; ++z)
    for (std::size_t y = 0; y < a.ny; ++y)
      for (std::size_t x = 0; x < a.nx; ++x) {
        const auto ky = static_cast<double>(signed_frequency(y, a.ny)),
                   kz = static_cast<double>(signed_frequency(z, a.nz)), kx = static_cast<double>(x);
        const auto shell = static_cast<std::size_t>(std::lround(std::sqrt(kx * kx + ky * ky + kz * kz)));
        if (shell >= filter.size()) continue;
        const std::complex<double> out(a(x, y, z)), wanted(b(x, y, z));
        s.error[shell] += std::norm(out - filter[shell] * wanted);
        s.power[shell] += std::norm(wanted);
      }
  return s;
}

TEST(DenoiseTarget, KeepsWhatTheHalfMapsSay) {
  const std::vector<float> fsc{1.f, 0.5f, 0.f, -0.2f};
  EXPECT_EQ(target_filter(DenoiseTarget::sharp, fsc), (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ(target_filter(DenoiseTarget::fsc, fsc), (std::vector<float>{1, 0.5f, 0, 0}));
  const auto reference = target_filter(DenoiseTarget::cref, fsc);
  EXPECT_FLOAT_EQ(reference[0], 1);
  EXPECT_NEAR(reference[1], std::sqrt(2. / 3), 1e-6);
  EXPECT_EQ(reference[2], 0);
  EXPECT_EQ(reference[3], 0);
}

TEST(ShellLoss, IsTheRatioOfSumsOverShells) {
  auto pairs = test::blobs(3);
  Example examples[2];
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t s = 0; s < pairs[i].half_fsc.size(); ++s)
      pairs[i].half_fsc[s] = 1.1f - 0.13f * static_cast<float>(s + i);
    examples[i] = {pairs[i].input, pairs[i].target, pairs[i].cut - static_cast<int>(i), pairs[i].half_fsc};
  }
  for (const auto target : {DenoiseTarget::sharp, DenoiseTarget::fsc, DenoiseTarget::cref}) {
    double map = 0, shells = 0;
    std::vector<std::vector<torch::Tensor>> parts(4);
    for (const Example& e : examples) {
      std::vector<double> filter;
      for (const float fsc : e.half_fsc) {
        const double f = std::max(0., std::min(1., static_cast<double>(fsc)));
        filter.push_back(target == DenoiseTarget::sharp ? 1
                         : target == DenoiseTarget::fsc ? f
                                                        : std::sqrt(2 * f / (1 + f)));
      }
      const Sums s = sums(e.input, e.target, filter);
      double error = 0, power = 0, ratios = 0;
      for (std::size_t i = 0; i < filter.size(); ++i) error += s.error[i], power += s.power[i];
      for (std::size_t i = 1; i < static_cast<std::size_t>(e.cut); ++i)
        ratios += s.error[i] / (s.power[i] + 1e-6 * power);
      map += error / power / 2;
      shells += ratios / (e.cut - 1) / 2;
      const auto tensors = tensors_of(e, 1, target);
      for (std::size_t i = 0; i < 4; ++i) parts[i].push_back(tensors[i]);
    }
    std::vector<torch::Tensor> batch;
    batch.reserve(parts.size());
    for (const auto& part : parts) batch.push_back(torch::stack(part));
    const auto loss = [&](DenoiseLoss kind) {
      return ShellLoss(24, torch::kCPU, kind)(batch[0], batch[1], batch[2], batch[3]).item<double>();
    };
    EXPECT_NEAR(loss(DenoiseLoss::map), map, 1e-4 * map);
    EXPECT_NEAR(loss(DenoiseLoss::shells), shells, 1e-4 * shells);
    EXPECT_NEAR(loss(DenoiseLoss::both), (map + shells) / 2, 1e-4 * (map + shells));
  }
}

TEST(DenoiseInput, SecondChannelIsTheMapAsTheHalfMapsAgree) {
  const TrainingPair pair = test::blobs(4).front();
  const Example e{pair.input, pair.target, pair.cut, {1, 1, 0.8f, 0.5f, 0.2f, -0.1f, 0.3f, 0, 0, 0, 0, 0, 0}};
  EXPECT_EQ(tensors_of(e, 1)[0].size(0), 1);
  const torch::Tensor input = tensors_of(e, 2)[0];
  ASSERT_EQ(input.size(0), 2);
  Map second(24, 24, 24);
  std::copy_n(input[1].contiguous().data_ptr<float>(), second.size(), second.data.data());
  const auto before = shell_power(forward(e.input)), after = shell_power(forward(second));
  for (std::size_t s = 0; s < before.size(); ++s) {
    const double fsc = std::max(0.f, e.half_fsc[s]);
    EXPECT_NEAR(after[s], before[s] * 2 * fsc / (1 + fsc), 1e-5 * before[s] + 1e-12) << "shell " << s;
  }
  EXPECT_TRUE(torch::equal(input[0], tensors_of(e, 1)[0][0]));
}

}  // namespace
}  // namespace cryored
