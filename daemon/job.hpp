#pragma once
// One request to the daemon, what came of it, and the engine that computes it. The engine is implemented in cli/;
// daemon/ knows neither STAR files nor networks.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cryored::daemon {

/// A call of `cryored reconstruct` that somebody wants computed as if in a process of its own.
struct Request {
  enum class From { socket, watch };
  std::string id;                                  ///< 16 hexadecimal digits, from the caller
  std::vector<std::string> words;                  ///< after `cryored reconstruct`
  std::string cwd;                                 ///< absolute; relative names in words and STAR start here
  std::map<std::string, std::string> environment;  ///< the variables that docs/daemon.md lists
  int attempt = 1;                                 ///< 2: the first one's daemon was lost
  From from = From::socket;
  std::string caller;  ///< for status and log: "pid 1234", "host node7, pid 99"
  /// Asked by the computing thread at its checkpoints, the last one before a file gets its name: false ends the
  /// request like a cancelled one. Empty: always wanted.
  std::function<bool()> wanted;
  std::optional<unsigned> umask;  ///< the caller's, for the files that it gets; none: the engine's choice
};

/// What is told of a map in `cryored status`; what is not known stays empty.
struct Facts {
  std::string job;                           ///< RELION's output root, absolute: "/project/Refine3D/job012/run"
  std::string map;                           ///< "run_it004_half1_class001"
  int iteration = -1, half = 0, number = 0;  ///< of class or body
  bool is_body = false;
  // Only after the computation:
  std::optional<double> lambda, resolution;  ///< nominal, A
  bool denoiser_ran = false;
  std::string device;  ///< "CPU (2 threads)"
};

/// What `cryored reconstruct` would have left to its caller.
struct Outcome {
  int exit = 1;
  std::string out, err;
  Facts facts;
};

/// Set by the queue, looked at by the engine between pieces of work. One per request.
class CancelToken {
 public:
  void cancel() { cancelled_.store(true, std::memory_order_release); }
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> cancelled_{false};
};

/// Thrown by Engine::run() when its token was cancelled. No file of the request appears under a final name then.
struct Cancelled {};

/// Thrown by Engine::run() when the card has too little free memory even for the smallest blocks: the queue waits for
/// the other requests on it and tries once more, then answers with `message`.
struct DeviceFull {
  std::string message;
};

/// Thrown by Engine::run() when the card has failed and this process may never get over it: the queue answers with
/// `message`, gives back what has not begun, and QueueOptions::device_lost is called.
struct DeviceLost {
  std::string message;
};

struct Device {
  std::string name;              ///< "cpu", "cuda:1"
  std::string text;              ///< "GPU 1: NVIDIA A100 ...", for people
  std::uint64_t memory = 0;      ///< bytes: the card's own, or what the daemon may take of main memory
  bool only_when_asked = false;  ///< takes only requests that name it: the CPU beside GPUs
};

/// What must be known of a request before its turn comes.
struct Plan {
  Facts facts;
  /// Devices it may run on, by their name; empty: any that is not only_when_asked.
  std::vector<std::string> devices;
  /// Main memory in bytes that it needs, in blocks of the usual size and in the smallest. Equal where no denoiser runs.
  std::uint64_t memory = 0, least_memory = 0;
};

/// How a request is to be run.
struct Turn {
  const Device* device = nullptr;
  int worker = 0;                  ///< index of the device: one computation at a time on each
  std::uint64_t memory_limit = 0;  ///< main memory in bytes it may take, at least Plan::least_memory
};

/// Computes requests; several threads call it at once, one per device.
class Engine {
 public:
  virtual ~Engine() = default;
  /// The devices it serves, the same all its life.
  virtual const std::vector<Device>& devices() const = 0;
  /// Reads what is cheap to read: the options, the STAR file. Throws Error for what `cryored reconstruct` would refuse
  /// at once; its message and exit code go to the caller.
  virtual Plan examine(const Request& request) = 0;
  /// Computes. Failures are told in the Outcome; throws Cancelled, DeviceFull and DeviceLost only.
  virtual Outcome run(const Request& request, const Plan& plan, const Turn& turn, const CancelToken& cancel) = 0;
  /// Networks that are loaded, for status: name, sha256, device. Called from any thread.
  struct Loaded {
    std::string name, sha256, device;
    std::uint64_t passes = 0;
  };
  virtual std::vector<Loaded> loaded() const { return {}; }
};

}  // namespace cryored::daemon
