#include "models/device.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "core/base/error.hpp"

namespace cryored {
namespace {

constexpr const char* kUseCpu = "or pass --device cpu";

/// The few functions of the CUDA driver's stable C interface that a survey needs.
class Driver {
 public:
  explicit Driver(const std::string& library) : handle_(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) {
      const char* error = dlerror();
      problem_ = error ? error : library + " cannot be loaded";
    }
  }
  // Never closed: the driver keeps threads, and LibTorch will use the same library.

  bool loaded() const { return handle_ != nullptr; }
  const std::string& problem() const { return problem_; }

  /// Calls a function; a missing one returns -1.
  template <typename... Args>
  int call(const char* name, Args... args) const {
    using Function = int (*)(Args...);
    const auto function = reinterpret_cast<Function>(dlsym(handle_, name));
    return function ? function(args...) : -1;
  }

  std::string describe(int code) const {
    if (code == -1) return "a function is missing from the driver's library";
    const char *name = nullptr, *text = nullptr;
    call("cuGetErrorName", code, &name);
    call("cuGetErrorString", code, &text);
    return fmt::format("{} ({}, code {})", text ? text : "unknown failure", name ? name : "?", code);
  }

 private:
  void* handle_;
  std::string problem_;
};

bool has_device_file(const std::string& folder) {
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored)) {
    const std::string name = it->path().filename().string();
    if (name.size() > 6 && name.starts_with("nvidia") && name.find_first_not_of("0123456789", 6) == std::string::npos)
      return true;
  }
  return false;
}

GpuSurvey broken(GpuSurvey survey, const std::string& reason, const std::string& remedy) {
  survey.state = GpuSurvey::State::broken;
  survey.reason = reason;
  survey.remedy = remedy;
  survey.gpus.clear();
  return survey;
}

std::string version_text(int cuda) { return fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10); }

}  // namespace

GpuSurvey survey_gpus(const std::string& driver_library, const std::string& device_folder) {
  constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE
  GpuSurvey survey;
  const Driver driver(driver_library);
  const bool device_file = has_device_file(device_folder);
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (!driver.loaded()) {
    if (device_file)
      return broken(survey, fmt::format("{} holds an NVIDIA device, but {}", device_folder, driver.problem()),
                    "install the NVIDIA driver's libraries (in a container: start it with GPU support)");
    survey.reason = driver_library + " is not installed";
    return survey;
  }
  int code = driver.call("cuInit", 0u);
  if (code == kNoDevice) {
    if (device_file && !visible)
      return broken(survey, fmt::format("{} holds an NVIDIA device, but the driver lists none", device_folder),
                    "check nvidia-smi and the permissions of the device files");
    survey.reason = visible ? fmt::format("CUDA_VISIBLE_DEVICES={} leaves none", visible) : "the driver lists none";
    return survey;
  }
  const std::string repair = "check nvidia-smi; after an update of the driver, restart the machine";
  if (code != 0) return broken(survey, "the driver does not start: " + driver.describe(code), repair);
  int count = 0;
  driver.call("cuDriverGetVersion", &survey.driver_cuda);
  if ((code = driver.call("cuDeviceGetCount", &count)) != 0)
    return broken(survey, "the driver does not list its GPUs: " + driver.describe(code), repair);
  for (int i = 0; i < count; ++i) {
    Gpu gpu;
    gpu.index = i;
    int device = 0;
    char name[256] = {};
    std::size_t memory = 0;
    constexpr int kMajor = 75, kMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
    code = driver.call("cuDeviceGet", &device, i);
    if (code == 0)
      code = driver.call("cuDeviceGetName", static_cast<char*>(name), static_cast<int>(sizeof name - 1), device);
    if (code == 0) code = driver.call("cuDeviceTotalMem_v2", &memory, device);
    if (code == 0) code = driver.call("cuDeviceGetAttribute", &gpu.major, kMajor, device);
    if (code == 0) code = driver.call("cuDeviceGetAttribute", &gpu.minor, kMinor, device);
    if (code != 0) return broken(survey, fmt::format("GPU {} does not answer: {}", i, driver.describe(code)), repair);
    gpu.name = name;
    unsigned char uuid[16] = {};
    if (driver.call("cuDeviceGetUuid", static_cast<unsigned char*>(uuid), device) == 0)
      for (const unsigned byte : uuid) gpu.uuid += fmt::format("{:02x}", byte);
    gpu.memory = memory;
    survey.gpus.push_back(gpu);
  }
  if (survey.gpus.empty()) {
    survey.reason = "the driver lists none";
    return survey;
  }
  survey.state = GpuSurvey::State::usable;
  return survey;
}

DeviceChoice choose_device(const std::string& request, const GpuSurvey& survey) {
  DeviceChoice choice;
  choice.driver_cuda = survey.driver_cuda;
  const bool automatic = request == "auto";
  int index = 0;
  if (request == "cpu") {
    choice.text = "CPU";
    return choice;
  }
  bool understood = automatic || request == "cuda";
  if (request.starts_with("cuda:") && request.size() > 5) {
    const char *first = request.data() + 5, *last = request.data() + request.size();
    const auto [end, error] = std::from_chars(first, last, index);
    understood = error == std::errc() && end == last && index >= 0;
  }
  if (!understood)
    throw UsageError(Problem{"--device", "", request, "auto, cpu, cuda or cuda:N", "choose one of these"});
  if (survey.state == GpuSurvey::State::broken)
    throw SystemError(
        Problem{"--device " + request, "GPU", survey.reason, "a GPU that works", survey.remedy + ", " + kUseCpu});
  if (survey.state == GpuSurvey::State::absent) {
    if (automatic) {
      choice.text = "CPU: no GPU (" + survey.reason + ")";
      return choice;
    }
    throw SystemError(Problem{"--device " + request, "GPU", "none (" + survey.reason + ")",
                              "a machine with an NVIDIA GPU", "pass --device cpu or --device auto"});
  }
  if (static_cast<std::size_t>(index) >= survey.gpus.size())
    throw SystemError(Problem{"--device " + request, "GPU", fmt::format("{} GPU(s)", survey.gpus.size()),
                              fmt::format("cuda:0 to cuda:{}", survey.gpus.size() - 1), "choose one of these"});
  choice.cuda = true;
  choice.gpu = survey.gpus[static_cast<std::size_t>(index)];
  choice.text = fmt::format("GPU {}: {}, {:.0f} GiB, compute capability {}.{}, driver for CUDA {}", index,
                            choice.gpu.name, static_cast<double>(choice.gpu.memory) / (1 << 30), choice.gpu.major,
                            choice.gpu.minor, version_text(survey.driver_cuda));
  return choice;
}

void check_driver(const DeviceChoice& choice, int runtime_cuda) {
  if (!choice.cuda || choice.driver_cuda / 1000 >= runtime_cuda / 1000) return;
  throw SystemError(Problem{choice.text, "NVIDIA driver", "one for CUDA " + version_text(choice.driver_cuda),
                            fmt::format("one for CUDA {}.0 or newer, as these libraries need", runtime_cuda / 1000),
                            std::string("update the NVIDIA driver, ") + kUseCpu});
}

std::string explain_gpu_failure(const DeviceChoice& choice, const std::string& what) {
  const auto has = [&](const char* text) { return what.find(text) != std::string::npos; };
  std::string found = what.substr(0, what.find('\n')), remedy = "check nvidia-smi";
  std::string allowed;
  if (has("out of memory")) {
    found = "not enough free memory: " + found;
    remedy = "end other programs on this GPU, choose another with --device cuda:N, or give smaller blocks with --block";
  } else if (has("no kernel image") || has("not compatible")) {
    found = fmt::format("compute capability {}.{}, for which this LibTorch has no code", choice.gpu.major,
                        choice.gpu.minor);
    remedy = "build with a LibTorch made for this GPU (CRYORED_TORCH_ROOT)";
  } else if (has("driver version is insufficient") || has("driver on your system is too old")) {
    found = "driver too old, for CUDA " + version_text(choice.driver_cuda);
    remedy = "update the NVIDIA driver";
  } else if (has("cannot open shared object")) {
    found = "LibTorch's CUDA part cannot be loaded: " + found;
    allowed = "libtorch_cuda.so and the CUDA libraries that it needs";
    remedy = "run ./dev setup on this machine, so that it fetches them";
  }
  return Error(Problem{choice.text, "", found, allowed, remedy + ", " + kUseCpu}).what();
}

}  // namespace cryored
