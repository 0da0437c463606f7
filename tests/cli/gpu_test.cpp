// Which device reconstructs, on machines played by a stand-in for the driver (tests/fake_libcuda.cpp) and one
// for cryored's own CUDA library.

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

class GpuChoice : public ReconstructTest {
 protected:
  GpuChoice() {
    files.write();
    std::filesystem::create_directory(scratch / "driver");
    std::filesystem::create_symlink(CRYORED_TEST_FAKE_LIBCUDA, scratch / "driver/libcuda.so.1");
  }
  /// A machine with two GPUs and a build with CUDA.
  Invocation on_gpus(std::vector<std::string> words) const {
    Invocation invocation = call(std::move(words));
    invocation.environment = {{"LD_LIBRARY_PATH", scratch / "driver"},
                              {"FAKE_CUDA", "0:13000:2:0"},
                              {"CRYORED_CUDA_LIBRARY", CRYORED_TEST_FAKE_CUDA_LIBRARY},
                              {"FAKE_CUDA_LIBRARY_LOG", log()}};
    return invocation;
  }
  std::string log() const { return scratch / "calls"; }
  std::string calls() const { return exists(log()) ? read_file(log()) : ""; }
  nlohmann::json record() const { return nlohmann::json::parse(read_file(files.record())); }
};

TEST_F(GpuChoice, NamedGpuMakesTheGaussianMap) {
  const Outcome outcome = run(on_gpus({"--prior", "gaussian", "--device", "cuda:1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(calls(), "probe 1\ngridding 1\ninverse 1\n");
  EXPECT_EQ(record()["device"]["reconstruction"], "GPU 1");
  EXPECT_NE(outcome.out.find("Gaussian prior on GPU 1: Fake GPU model 1"), std::string::npos) << outcome.out;
  const auto map = read_mrc_data(files.result());
  EXPECT_FLOAT_EQ(map[(16 * 32 + 16) * 32 + 16], 7.0f) << "what the library returned";
}

TEST_F(GpuChoice, AutoTakesTheGpuWhereTheLibraryIs) {
  ASSERT_EQ(run(on_gpus({"--prior", "gaussian"})).code, 0);
  EXPECT_EQ(calls(), "probe 0\ngridding 0\ninverse 0\n");
}

TEST_F(GpuChoice, AutoTakesTheCpuWithoutTheLibraryOrTheGpu) {
  Invocation invocation = on_gpus({"--prior", "gaussian"});
  invocation.environment["CRYORED_CUDA_LIBRARY"] = "";
  ASSERT_EQ(run(invocation).code, 0);
  EXPECT_EQ(record()["device"]["reconstruction"], "CPU");
  invocation = on_gpus({"--prior", "gaussian"});
  invocation.environment["FAKE_CUDA"] = "100:13000:0:0";
  ASSERT_EQ(run(invocation).code, 0);
  EXPECT_EQ(record()["device"]["reconstruction"], "CPU");
  EXPECT_EQ(calls(), "");
}

TEST_F(GpuChoice, CpuIsNeverTheGpu) {
  ASSERT_EQ(run(on_gpus({"--prior", "gaussian", "--device", "cpu"})).code, 0);
  EXPECT_EQ(calls(), "");
}

TEST_F(GpuChoice, AskedForAndWithoutTheLibraryIsAnError) {
  Invocation invocation = on_gpus({"--prior", "gaussian", "--device", "cuda"});
  invocation.environment["CRYORED_CUDA_LIBRARY"] = "";
  expect_failure(invocation, {"libcryored_cuda.so", "--device cpu"});
  invocation = on_gpus({"--prior", "gaussian", "--device", "cuda"});
  invocation.environment["FAKE_CUDA"] = "100:13000:0:0";
  expect_failure(invocation, {"--device", "none", "Remedy: "});
}

TEST_F(GpuChoice, AFailureOfTheGpuIsNeverAQuietCpu) {
  for (const char* function : {"probe", "gridding", "inverse"}) {
    Invocation invocation = on_gpus({"--prior", "gaussian"});
    invocation.environment["FAKE_CUDA_LIBRARY_FAILS"] = function;
    invocation.environment.erase("FAKE_CUDA_LIBRARY_LOG");
    expect_failure(invocation, {"GPU 0", "out of memory", "--device cpu"});
  }
}

}  // namespace
}  // namespace cryored_test
