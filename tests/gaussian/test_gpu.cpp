// The GPU against the CPU, to 1e-5; and what a user is told where no GPU can be used.

#include <gtest/gtest.h>

#include <cstdlib>

#include "core/base/error.hpp"
#include "core/reconstruct/gpu.hpp"
#include "tests/gaussian/gpu_and_cpu.hpp"

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

TEST_F(Gpu, EqualsTheCpu) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << "no usable GPU here: " << why;
  expect_gpu_equals_cpu();
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
