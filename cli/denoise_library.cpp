#include "cli/denoise_library.hpp"

#include <dlfcn.h>

#include <chrono>
#include <cstring>

#include "cli/builtin_denoiser.hpp"
#include "cli/installation.hpp"
#include "core/base/checkpoint.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

bool loaded_anything = false;

}  // namespace

bool DenoiseLibrary::is_loaded() { return loaded_anything; }

const DenoiseLibrary& DenoiseLibrary::load() {
  static const DenoiseLibrary library = [] {
    DenoiseLibrary loaded;
    loaded.path_ = denoise_library_path();
    void* handle = dlopen(loaded.path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      const char* reason = dlerror();
      throw SystemError(Problem{loaded.path_, "denoiser library", reason ? reason : "cannot be loaded",
                                "the library of this installation, and LibTorch where it was built against it",
                                "run ./dev setup and build, or install cryored again"});
    }
    loaded_anything = true;
    using Entry = const DenoiseApi* (*)();
    const auto entry = reinterpret_cast<Entry>(dlsym(handle, "cryored_denoise_api"));
    const std::string expected = build_info().version;
    loaded.api_ = entry ? entry() : nullptr;
    if (!loaded.api_ || loaded.api_->layout != DenoiseApi::current_layout || expected != loaded.api_->version)
      throw SystemError(Problem{loaded.path_, "denoiser library", "one of another version", "version " + expected,
                                "build or install cryored again, both parts together"});
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
      info_(is_builtin(weights_path) ? builtin_info(weights_path) : read_weights_info(weights_path)) {}

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
