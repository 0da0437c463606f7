#include "cli/denoise_library.hpp"

#include <chrono>

#include "cli/builtin_denoiser.hpp"
#include "cli/installation.hpp"
#include "cli/module.hpp"
#include "core/base/checkpoint.hpp"

namespace cryored {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

const DenoiseLibrary& DenoiseLibrary::load() {
  static const DenoiseLibrary library = [] {
    DenoiseLibrary loaded;
    loaded.path_ = denoise_library_path();
    loaded.api_ = &load_module<DenoiseApi>(loaded.path_, "cryored_denoise_api", "denoiser library");
    return loaded;
  }();
  return library;
}

std::string DenoiseLibrary::versions() const { return "LibTorch " + torch_version() + ", through " + path_; }

std::shared_ptr<BlockDenoiser> new_network(const WeightsInfo& info, const DenoiserOptions& options) {
  if (is_builtin(info.path)) return make_builtin(info.path);
  return DenoiseLibrary::load().make(info.path, options);
}

LazyDenoiser::LazyDenoiser(const std::string& weights_path, const DenoiserOptions& options, NetworkSource source)
    : options_(options),
      source_(std::move(source)),
      info_(is_builtin(weights_path) ? builtin_info(weights_path) : read_denoiser_info(weights_path)) {}

Map LazyDenoiser::denoise(const Map& map) {
  if (!network_) {
    const auto start = std::chrono::steady_clock::now();
    network_ = source_(info_, options_);
    load_seconds_ = seconds_since(start);
  }
  // A network that was loaded earlier may have served others meanwhile.
  network_->set_pass_options({options_.threads, options_.memory_limit, checkpoint});
  const auto start = std::chrono::steady_clock::now();
  Map out = network_->denoise(map);
  pass_seconds_ += seconds_since(start);
  return out;
}

std::string LazyDenoiser::description() const {
  if (is_builtin(info_.path)) return info_.path;
  return info_.name + " (" + info_.architecture.name() + ", sha256 " + info_.sha256 + ")";
}

}  // namespace cryored
