#include "models/imaging/pinn_weights.hpp"

#include "models/module_weights.hpp"

namespace cryored {

WeightsInfo save_pinn(const std::string& path, Pinn network, const WeightsInfo& info, StoredType type) {
  WeightsInfo header = info;
  header.model = to_json(network->config());
  header.normalisation = Normalisation::none;
  return save_module(path, *network, header, type);
}

LoadedPinn load_pinn(const std::string& path) {
  const auto bytes = read_weights_bytes(path);
  LoadedPinn loaded;
  loaded.info = parse_weights(bytes, path);
  const PinnConfig config = pinn_config(loaded.info.model, path);
  // A few bytes of metadata can ask for a network of many gigabytes: compare the sizes before it is built.
  if (const auto expected = pinn_parameters(config); loaded.info.parameters() != expected)
    refuse_table(path, "parameters", std::to_string(loaded.info.parameters()) + " values", std::to_string(expected),
                 config.name());
  loaded.network = Pinn(config);
  fill_module(*loaded.network, bytes, loaded.info, config.name());
  loaded.network->eval();
  return loaded;
}

}  // namespace cryored
