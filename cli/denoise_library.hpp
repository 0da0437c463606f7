#pragma once
// LibTorch at need: the network lives in libcryored_denoise.so, loaded only by a run whose
// denoiser really runs. Everything else starts without LibTorch's quarter of a second.

#include <functional>
#include <memory>
#include <string>

#include "core/fourier/grid.hpp"
#include "models/block_denoiser.hpp"

namespace cryored {

/// What the library hands out; both sides are built together, `layout` guards against a mixed installation.
struct DenoiseApi {
  static constexpr int current_layout = 3;
  int layout;
  const char* version;  ///< PROJECT_VERSION
  std::unique_ptr<BlockDenoiser> (*make)(const std::string& weights_path, const DenoiserOptions& options);
  std::string (*torch_version)();
};

class DenoiseLibrary {
 public:
  /// Loads the library, once per process; it stays loaded. Throws SystemError when it or
  /// LibTorch is missing, or when it belongs to another version.
  static const DenoiseLibrary& load();

  std::unique_ptr<BlockDenoiser> make(const std::string& weights_path, const DenoiserOptions& options) const {
    return api_->make(weights_path, options);
  }
  std::string torch_version() const { return api_->torch_version(); }
  /// For people: version and place.
  std::string versions() const;

 private:
  const DenoiseApi* api_ = nullptr;
  std::string path_;
};

/// Where a LazyDenoiser gets its network: a new one of its own, or one that a daemon keeps loaded.
using NetworkSource = std::function<std::shared_ptr<BlockDenoiser>(const WeightsInfo& info, const DenoiserOptions&)>;
std::shared_ptr<BlockDenoiser> new_network(const WeightsInfo& info, const DenoiserOptions& options);

/// A denoiser that is loaded at the first denoise(): its voxel size is read from the weights
/// file, so a reconstruction that ends up with lambda 0 never pays for LibTorch.
class LazyDenoiser : public Denoiser {
 public:
  /// Reads the header of the weights. Throws InputError when the file is missing or damaged.
  LazyDenoiser(const std::string& weights_path, const DenoiserOptions& options, NetworkSource source = new_network);

  double voxel_size() const override { return info_.voxel_size; }
  Map denoise(const Map& map) override;
  std::string description() const override;

  const WeightsInfo& weights() const { return info_; }
  /// The network that ran, or nullptr.
  const BlockDenoiser* loaded() const { return network_.get(); }
  /// Seconds that loading LibTorch, weights and device took, and those of the passes.
  double load_seconds() const { return load_seconds_; }
  double pass_seconds() const { return pass_seconds_; }

 private:
  DenoiserOptions options_;
  NetworkSource source_;
  WeightsInfo info_;
  std::shared_ptr<BlockDenoiser> network_;
  double load_seconds_ = 0, pass_seconds_ = 0;
};

}  // namespace cryored
