#include "models/unet_weights.hpp"

#include "core/base/error.hpp"
#include "models/module_weights.hpp"

namespace cryored {

WeightsInfo save_weights(const std::string& path, UNet3d network, const WeightsInfo& info, StoredType type) {
  WeightsInfo header = info;
  header.architecture = network->config();
  header.model = nullptr;
  return save_module(path, *network, header, type);
}

LoadedWeights load_weights(std::span<const std::byte> file, const std::string& name) {
  LoadedWeights loaded;
  loaded.info = parse_weights(file, name);
  require_denoiser(loaded.info);
  const std::string architecture = loaded.info.architecture.name();
  // A few bytes of metadata can ask for a network of many gigabytes: compare the sizes before it is built.
  if (const auto expected = unet_parameters(loaded.info.architecture); loaded.info.parameters() != expected)
    refuse_table(name, "parameters", std::to_string(loaded.info.parameters()) + " values", std::to_string(expected),
                 architecture);
  loaded.network = UNet3d(loaded.info.architecture);
  fill_module(*loaded.network, file, loaded.info, architecture);
  loaded.network->eval();
  return loaded;
}

LoadedWeights load_weights(const std::string& path) { return load_weights(read_weights_bytes(path), path); }

}  // namespace cryored
