// core/cuda's kernels, run on the CPU (tests/cuda_on_cpu): their arithmetic and indices without a GPU.

#include <cstdlib>

#include "core/base/error.hpp"
#include "tests/gaussian/gpu_and_cpu.hpp"

namespace cryored {
namespace {

class Kernels : public testing::Test {
 protected:
  void SetUp() override { setenv("CRYORED_CUDA_LIBRARY", CRYORED_TEST_CUDA_ON_CPU, 1); }
};

TEST_F(Kernels, EqualTheCpu) { expect_gpu_equals_cpu(); }

TEST_F(Kernels, IndexBeyondTheLastIsAnError) {
  EXPECT_NO_THROW(gpu::require(0));
  for (const int device : {1, -1}) EXPECT_THROW(gpu::require(device), SystemError);
}

}  // namespace
}  // namespace cryored
