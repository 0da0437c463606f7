#pragma once
// Which device computes. Free of torch and of CUDA headers: the driver is asked through
// libcuda.so.1, loaded at run time.

#include <cstdint>
#include <string>
#include <vector>

namespace cryored {

struct Gpu {
  int index = 0;
  std::string name;
  int major = 0, minor = 0;  ///< compute capability
  std::uint64_t memory = 0;  ///< bytes in all
  std::string uuid;          ///< of the card, 32 hexadecimal digits, whatever its index here; empty: not told
};

/// What the driver says of this machine's NVIDIA GPUs.
struct GpuSurvey {
  enum class State {
    absent,  ///< no GPU for this process; `reason` says how that was found
    usable,
    broken,  ///< a GPU is there, the driver fails; `reason` and `remedy` say how
  };
  State state = State::absent;
  std::string reason, remedy;
  int driver_cuda = 0;  ///< newest CUDA that the driver serves: 1000 major + 10 minor
  std::vector<Gpu> gpus;
};

/// Asks the driver; never throws. The arguments serve tests: name of the driver's library,
/// and the folder of its device files.
GpuSurvey survey_gpus(const std::string& driver_library = "libcuda.so.1", const std::string& device_folder = "/dev");

struct DeviceChoice {
  bool cuda = false;
  Gpu gpu;  ///< where cuda
  int driver_cuda = 0;
  std::string text;  ///< for the log: "GPU 0: NVIDIA A100 ..." or "CPU: no GPU (...)"
};

/// `request`: auto, cpu, cuda or cuda:N. auto takes GPU 0 where there is one, else the CPU.
/// Throws UsageError for another word; SystemError where a GPU was asked for and there is
/// none (or not that many), and where one is there but broken (unless cpu was asked for).
DeviceChoice choose_device(const std::string& request, const GpuSurvey& survey);

/// SystemError "driver too old" unless the driver serves the CUDA major version of the
/// libraries (`runtime_cuda` as in driver_cuda).
void check_driver(const DeviceChoice& choice, int runtime_cuda);

/// The SystemError message for a failure that CUDA or LibTorch reported on this device:
/// names the way out for lack of memory, a wrong architecture, a missing library.
std::string explain_gpu_failure(const DeviceChoice& choice, const std::string& what);

}  // namespace cryored
