// Which device reconstructs, on machines played by a stand-in for the driver (tests/fake_libcuda.cpp) and one
// for cryored's own CUDA library.

#include <unistd.h>

#include <algorithm>
#include <cmath>
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

TEST_F(GpuChoice, TheKernelsMakeTheMapOfTheCpu) {
  ASSERT_EQ(run(on_gpus({"--prior", "gaussian", "--device", "cpu"})).code, 0);
  const auto expected = read_mrc_data(files.result());
  Invocation invocation = on_gpus({"--prior", "gaussian", "--device", "cuda"});
  invocation.environment["CRYORED_CUDA_LIBRARY"] = CRYORED_TEST_CUDA_ON_CPU;
  const Outcome outcome = run(invocation);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(record()["device"]["reconstruction"], "GPU 0");
  const auto map = read_mrc_data(files.result());
  ASSERT_EQ(map.size(), expected.size());
  double difference = 0, power = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    difference += std::pow(double{map[i]} - double{expected[i]}, 2);
    power += std::pow(double{expected[i]}, 2);
  }
  EXPECT_GT(power, 0);
  EXPECT_LT(difference, 1e-10 * power);
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

class GpuDaemon : public GpuChoice {
 protected:
  ~GpuDaemon() override { run(of_daemon({"--stop"}, "0:13000:1:0")); }
  Invocation here(Invocation invocation, const std::string& driver) const {
    invocation.environment["FAKE_CUDA"] = driver;
    invocation.environment["CRYORED_NO_DAEMON"] = "no";
    invocation.environment["CRYORED_RUNTIME_DIR"] = runtime / "run";
    return invocation;
  }
  /// A call through the daemon, which it starts.
  Invocation through(const std::string& device, const std::string& driver) const {
    Invocation invocation = here(on_gpus({"--prior", "gaussian"}), driver);
    invocation.environment["CRYORED_DEVICE"] = device;
    return invocation;
  }
  Invocation of_daemon(const std::vector<std::string>& words, const std::string& driver) const {
    Invocation invocation = here(on_gpus({}), driver);
    invocation.words = {cryored(), "daemon"};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    return invocation;
  }
  ScratchFolder runtime;
};

TEST_F(GpuDaemon, OnTheCpuARequestHasAllProcessorsHoweverManyGpusThereAre) {
  Invocation alone = through("cpu", "0:13000:64:0");
  alone.environment["CRYORED_NO_DAEMON"] = "yes";
  ASSERT_EQ(run(alone).code, 0);
  const int all = record()["device"]["threads"];
  const Outcome outcome = run(through("cpu", "0:13000:64:0"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(record()["served_by"].is_null()) << outcome.err;
  EXPECT_EQ(record()["device"]["threads"], all);
  ASSERT_EQ(run(through("auto", "0:13000:64:0")).code, 0);
  EXPECT_EQ(record()["device"]["threads"], std::max(1, all / 64));
}

TEST_F(GpuDaemon, WithABrokenDriverTheDaemonServesTheCpuAndRefusesTheRest) {
  const std::string broken = "999:13000:1:0";
  for (const char* device : {"auto", "cuda", "cuda:0"})
    expect_failure(through(device, broken),
                   {std::string("--device ") + device, "the driver does not start", "end this daemon", "--device cpu"});
  const Outcome outcome = run(through("cpu", broken));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_FALSE(record()["served_by"].is_null());
  EXPECT_EQ(calls(), "");
  Invocation help = through("auto", broken);
  help.words.insert(help.words.begin() + 1, "--help");
  EXPECT_EQ(run(help).code, 0);
  // Nothing of this asks for a GPU without the library, in a daemon or not.
  ASSERT_EQ(run(of_daemon({"--stop"}, broken)).code, 0);
  Invocation without = through("auto", broken);
  without.environment["CRYORED_CUDA_LIBRARY"] = "";
  EXPECT_EQ(run(without).code, 0);
  EXPECT_FALSE(record()["served_by"].is_null());
  // Started by hand it says so at once.
  ASSERT_EQ(run(of_daemon({"--stop"}, broken)).code, 0);
  const Outcome by_hand = run(of_daemon({"--daemon-name", "by-hand"}, broken));
  EXPECT_EQ(by_hand.code, 1);
  EXPECT_NE(by_hand.err.find("the driver does not start"), std::string::npos) << by_hand.err;
}

TEST_F(GpuDaemon, WithALostCardItEndsWithoutTakingItsContextDown) {
  Invocation start = of_daemon({}, "0:13000:1:0");
  start.environment["FAKE_CUDA_LIBRARY_FAILS"] = "inverse";
  start.environment["FAKE_CUDA_LIBRARY_LOST"] = "yes";
  Process daemon(start);
  Invocation status = start;
  status.words = {cryored(), "status"};
  for (int i = 0; i < 1000 && run(status).code != 0; ++i) usleep(10'000);
  const Outcome outcome = run(through("auto", "0:13000:1:0"));
  EXPECT_EQ(outcome.code, 1) << outcome.out;
  EXPECT_NE(outcome.err.find("the card is lost"), std::string::npos) << outcome.err;
  const Outcome left = daemon.wait();
  EXPECT_EQ(left.code, 1);
  EXPECT_NE(left.err.find("daemon.left"), std::string::npos) << left.err;
}

}  // namespace
}  // namespace cryored_test
