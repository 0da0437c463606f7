#pragma once
// The daemon's engine: the code of cryored reconstruct, with networks that stay loaded.

#include <list>
#include <mutex>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "cli/reconstruct_run.hpp"
#include "daemon/job.hpp"
#include "models/device.hpp"

namespace cryored {

struct EngineOptions {
  std::string device = "auto";         ///< auto, cpu, cuda, cuda:N
  std::vector<int> gpus;               ///< of --gpus; empty: all that are visible
  int threads = 0;                     ///< for each computation where the request names none; 0: the machine's share
  std::uint64_t gpu_memory_limit = 0;  ///< bytes on each GPU for the denoiser; 0: what is free
  bool despite_broken_gpus = false;    ///< with auto: where their driver fails, serve the CPU to those who name it
  std::string daemon_name;             ///< for the records
  unsigned umask = 022;                ///< for files of requests that bring none
  std::size_t most_networks = 4;       ///< kept loaded on each device
};

/// The devices of a daemon: every GPU it may use and, beside them, the CPU for requests that name it; without a GPU (or
/// with --device cpu) the CPU. Throws as choose_device() does, and UsageError for a GPU that is not there.
std::vector<daemon::Device> devices_of(const EngineOptions& options, const GpuSurvey& survey);

class ReconstructEngine : public daemon::Engine {
 public:
  explicit ReconstructEngine(const EngineOptions& options);
  const std::vector<daemon::Device>& devices() const override { return devices_; }
  daemon::Plan examine(const daemon::Request& request) override;
  daemon::Outcome run(const daemon::Request& request, const daemon::Plan& plan, const daemon::Turn& turn,
                      const daemon::CancelToken& cancel) override;
  std::vector<Loaded> loaded() const override;
  /// Why it refuses all requests but those for the CPU; empty where it does not.
  const std::string& gpu_problem() const { return survey_.reason; }

 private:
  struct Network {
    std::string path, sha256, device, name;
    Precision precision;
    std::shared_ptr<BlockDenoiser> denoiser;
    std::uint64_t passes;
  };
  daemon::Plan plan_of(const daemon::Request& request) const;
  std::shared_ptr<BlockDenoiser> network(const WeightsInfo& info, const DenoiserOptions& options);
  int threads_on(const std::string& device) const;
  void release_networks(const std::string& device);

  EngineOptions options_;
  GpuSurvey survey_;  ///< only where it is broken
  std::vector<daemon::Device> devices_;
  mutable std::mutex mutex_;
  std::list<Network> networks_;  ///< the last used first
};

/// Main memory in bytes for the reconstruction of a request apart from its denoiser. An upper bound from the arrays of
/// core/reconstruct: the padded box twice, the ball's weights and spectra, and the gridding grid.
std::uint64_t reconstruction_memory(const ReconstructRequest& request);

}  // namespace cryored
