// The choice of the device, on machines played by fake_libcuda.cpp: no GPU, good ones, broken ones.

#include "models/device.hpp"

#include <fstream>

#include "tests/models/models_testing.hpp"

namespace cryored {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

class Device : public ::testing::Test {
 protected:
  Device() { unsetenv("CUDA_VISIBLE_DEVICES"); }
  ~Device() override {
    unsetenv("CUDA_VISIBLE_DEVICES");
    unsetenv("FAKE_CUDA");
  }
  GpuSurvey fake(const char* scenario) {
    setenv("FAKE_CUDA", scenario, 1);
    return survey_gpus(FAKE_LIBCUDA, devices_.path());
  }
  GpuSurvey without_driver() { return survey_gpus("libcuda_of_no_machine.so.1", devices_.path()); }
  void add_device_file() { std::ofstream(devices_.file("nvidia0")) << ""; }
  TemporaryFolder devices_;
};

TEST_F(Device, WithoutGpuAutoTakesTheCpuAndSaysSo) {
  const auto choice = choose_device("auto", without_driver());
  EXPECT_FALSE(choice.cuda);
  EXPECT_EQ(choice.text, "CPU: no GPU (libcuda_of_no_machine.so.1 is not installed)");
  EXPECT_FALSE(choose_device("auto", fake("100:13000:0:0")).cuda);
  EXPECT_FALSE(choose_device("auto", fake("0:13000:0:0")).cuda);
}

TEST_F(Device, HiddenGpuCountsAsNone) {
  setenv("CUDA_VISIBLE_DEVICES", "-1", 1);
  add_device_file();
  const auto choice = choose_device("auto", fake("100:13000:0:0"));
  EXPECT_FALSE(choice.cuda);
  EXPECT_NE(choice.text.find("CUDA_VISIBLE_DEVICES=-1"), std::string::npos);
}

TEST_F(Device, CudaWithoutGpuIsAnError) {
  for (const char* request : {"cuda", "cuda:0", "cuda:3"})
    expect_error<SystemError>([&] { choose_device(request, without_driver()); }, request, "none", "--device cpu");
}

TEST_F(Device, AutoTakesTheGpuAndNamesIt) {
  const auto choice = choose_device("auto", fake("0:13000:2:0"));
  EXPECT_TRUE(choice.cuda);
  EXPECT_EQ(choice.gpu.index, 0);
  EXPECT_EQ(choice.text, "GPU 0: Fake GPU model 0, 24 GiB, compute capability 8.6, driver for CUDA 13.0");
}

TEST_F(Device, NumberChoosesTheGpu) {
  const auto survey = fake("0:13010:2:0");
  EXPECT_EQ(choose_device("cuda:1", survey).gpu.name, "Fake GPU model 1");
  EXPECT_EQ(choose_device("cuda:1", survey).gpu.uuid, "01112131415161718191a1b1c1d1e1f1");
  expect_error<SystemError>([&] { choose_device("cuda:2", survey); }, "2 GPU(s)", "cuda:0 to cuda:1");
}

TEST_F(Device, CpuIsAlwaysTaken) {
  EXPECT_EQ(choose_device("cpu", fake("0:13000:1:0")).text, "CPU");
  EXPECT_EQ(choose_device("cpu", fake("999:13000:1:0")).text, "CPU");
}

TEST_F(Device, BrokenGpuIsNeverAQuietCpu) {
  for (const char* request : {"auto", "cuda", "cuda:0"}) {
    expect_error<SystemError>([&] { choose_device(request, fake("803:13000:1:0")); }, "does not start", "fake failure",
                              "803", "nvidia-smi", "--device cpu");
    expect_error<SystemError>([&] { choose_device(request, fake("0:13000:1:46")); }, "GPU 0 does not answer", "46",
                              "--device cpu");
  }
}

TEST_F(Device, DeviceFileWithoutDriverIsBroken) {
  EXPECT_EQ(without_driver().state, GpuSurvey::State::absent);
  add_device_file();
  expect_error<SystemError>([&] { choose_device("auto", without_driver()); }, devices_.path(), "driver",
                            "--device cpu");
  expect_error<SystemError>([&] { choose_device("auto", fake("100:13000:0:0")); }, "lists none", "permissions");
}

TEST_F(Device, IncompleteDriverIsBroken) {
  const auto survey = survey_gpus("libm.so.6", devices_.path());
  EXPECT_EQ(survey.state, GpuSurvey::State::broken);
  EXPECT_NE(survey.reason.find("missing"), std::string::npos) << survey.reason;
}

TEST_F(Device, OtherWordsAreMisuse) {
  for (const char* request : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "CUDA"})
    expect_error<UsageError>([&] { choose_device(request, without_driver()); }, "--device",
                             "auto, cpu, cuda or cuda:N");
}

TEST_F(Device, OldDriverIsNamed) {
  const auto old = choose_device("auto", fake("0:12040:1:0"));
  expect_error<SystemError>([&] { check_driver(old, 13000); }, "GPU 0", "CUDA 12.4", "13.0", "update the NVIDIA driver",
                            "--device cpu");
  EXPECT_NO_THROW(check_driver(old, 12080));
  EXPECT_NO_THROW(check_driver(choose_device("cpu", without_driver()), 13000));
}

TEST_F(Device, FailuresOfCudaNameTheWayOut) {
  const auto choice = choose_device("auto", fake("0:13000:1:0"));
  const auto expect = [&](const std::string& what, const std::string& part) {
    const auto text = explain_gpu_failure(choice, what);
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_NE(text.find("GPU 0: Fake"), std::string::npos) << text;
    EXPECT_NE(text.find("--device cpu"), std::string::npos) << text;
  };
  expect("CUDA out of memory. Tried to allocate 2 GiB", "--block");
  expect("CUDA error: no kernel image is available for execution on the device", "compute capability 8.6");
  expect("CUDA driver version is insufficient for CUDA runtime version", "update the NVIDIA driver");
  expect("libcudnn.so.9: cannot open shared object file: No such file", "libcudnn.so.9");
  expect("CUDA error: unspecified launch failure", "unspecified launch failure");
}

}  // namespace
}  // namespace cryored
