// The GPU against the CPU, to 1e-5; and what a user is told where no GPU can be used.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "core/base/error.hpp"
#include "core/reconstruct/gpu.hpp"

namespace cryored {
namespace {

/// The library of this build, whatever the environment says.
class Gpu : public testing::Test {
 protected:
  void SetUp() override { setenv("CRYORED_CUDA_LIBRARY", CRYORED_TEST_CUDA_LIBRARY, 1); }
};

/// Empty where GPU 0 serves, else the error.
std::string refusal() {
  try {
    gpu::require(0);
    return {};
  } catch (const SystemError& error) {
    return error.what();
  }
}

ReconstructRequest request_of(int box, double padding, int current, int dimensions) {
  ReconstructRequest request;
  request.box = box;
  request.padding = padding;
  request.current_size = current;
  request.dimensionality = dimensions;
  return request;
}

double relative_rms(const float* a, const float* b, std::size_t count) {
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < count; ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    power += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / power);
}

TEST_F(Gpu, EqualsTheCpu) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << "no usable GPU here: " << why;
  for (const auto& [box, padding, current, dimensions] : {std::tuple{32, 1.0, 32, 3},
                                                          {32, 2.0, 32, 3},
                                                          {32, 2.0, 20, 3},
                                                          {48, 1.3, 40, 3},
                                                          {64, 2.0, 64, 3},
                                                          {64, 1.0, 64, 2},
                                                          {64, 2.0, 40, 2}}) {
    SCOPED_TRACE("box " + std::to_string(box) + ", current " + std::to_string(current));
    const ReconstructRequest request = request_of(box, padding, current, dimensions);
    const HalfBall ball(cut_radius(request), dimensions);
    // Symmetric under k -> -k, spanning a wide range.
    const auto weights = [](const HalfBall::Column* columns, int count, double* out, long stride) {
      for (int i = 0; i < count; ++i)
        for (int j = 0; j <= 2 * columns[i].reach; ++j) {
          const double kx = columns[i].kx, ky = columns[i].ky, kz = j - columns[i].reach;
          out[i * stride + j] = std::exp(3 * std::cos(kx * kx + 2 * ky * ky + 3 * kz * kz + ky * kz));
        }
    };
    const BallWeights cpu = gridding_weights(ball, weights, padding * box, 10);
    const BallWeights gpu_n = gpu::gridding_weights(0, ball, weights, padding * box, 10);
    EXPECT_LT(relative_rms(gpu_n.data(), cpu.data(), cpu.size()), 1e-5);

    BallSpectrum v(ball.size);
    for (const auto& column : ball.columns)
      for (int kz = -column.reach; kz <= column.reach; ++kz)
        v[column.offset + static_cast<std::size_t>(column.reach + kz)] =
            std::polar(std::exp(-0.05f * static_cast<float>(std::hypot(column.kx, column.ky, kz))),
                       0.9f * static_cast<float>(column.kx) - 0.4f * static_cast<float>(column.ky) +
                           0.2f * static_cast<float>(kz));
    ReconstructOptions on_gpu;
    on_gpu.gpu = 0;
    const Map a = finish(request, ball, v, on_gpu), b = finish(request, ball, v);
    EXPECT_LT(relative_rms(a.data.data(), b.data.data(), b.size()), 1e-5);
  }
}

TEST_F(Gpu, IndexBeyondTheLastIsAnError) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << "no usable GPU here: " << why;
  EXPECT_THROW(gpu::require(4096), SystemError);
}

TEST_F(Gpu, WithoutAUsableOneTheMessageNamesTheWayOut) {
  const std::string why = refusal();
  if (why.empty()) GTEST_SKIP() << "this machine has a usable GPU";
  EXPECT_NE(why.find("--device cpu"), std::string::npos) << why;
  EXPECT_NE(why.find("GPU 0"), std::string::npos) << why;
  ReconstructOptions options;
  options.gpu = 0;
  const ReconstructRequest request = request_of(16, 1, 16, 3);
  const HalfBall ball(cut_radius(request), 3);
  EXPECT_THROW(finish(request, ball, BallSpectrum(ball.size), options), SystemError);  // never the CPU by itself
}

TEST(GpuLibrary, MissingOneIsNamed) {
  setenv("CRYORED_CUDA_LIBRARY", "/nowhere/libcryored_cuda.so", 1);
  try {
    gpu::require(0);
    FAIL() << "no error";
  } catch (const SystemError& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/libcryored_cuda.so"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace cryored
