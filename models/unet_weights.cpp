#include "models/unet_weights.hpp"

#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace cryored {

WeightsInfo save_weights(const std::string& path, UNet3d network, const WeightsInfo& info, StoredType type) {
  WeightsInfo header = info;
  header.architecture = network->config();
  torch::NoGradGuard no_grad;
  std::vector<TensorSource> tensors;
  for (const auto& p : network->named_parameters()) {
    const auto t = p.value().detach().to(torch::kCPU, torch::kFloat).contiguous();
    tensors.push_back({p.key(), t.sizes().vec(), {t.data_ptr<float>(), t.data_ptr<float>() + t.numel()}});
  }
  const auto bytes = encode_weights(header, tensors, type);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
  return parse_weights(bytes, path);
}

LoadedWeights load_weights(std::span<const std::byte> file, const std::string& name) {
  LoadedWeights loaded;
  loaded.info = parse_weights(file, name);
  const std::string architecture = loaded.info.architecture.name();
  const auto refuse = [&](const std::string& field, const std::string& found, const std::string& allowed) {
    throw InputError(
        Problem{name, field, found, allowed, "the table is not that of " + architecture + ": save the weights again"});
  };
  // A few bytes of metadata can ask for a network of many gigabytes: compare the sizes before it is built.
  if (const auto expected = unet_parameters(loaded.info.architecture); loaded.info.parameters() != expected)
    refuse("parameters", std::to_string(loaded.info.parameters()) + " values", std::to_string(expected));
  loaded.network = UNet3d(loaded.info.architecture);
  torch::NoGradGuard no_grad;
  const auto parameters = loaded.network->named_parameters();
  for (const auto& tensor : loaded.info.tensors) {
    const torch::Tensor* target = parameters.find(tensor.name);
    if (!target) refuse("parameter " + tensor.name, "an unknown name", "the names of this architecture");
    if (target->sizes() != torch::IntArrayRef(tensor.shape)) {
      std::ostringstream found, expected;
      found << torch::IntArrayRef(tensor.shape);
      expected << target->sizes();
      refuse("shape of " + tensor.name, found.str(), expected.str());
    }
    const auto values = tensor_values(file, loaded.info, tensor);
    std::copy(values.begin(), values.end(), target->data_ptr<float>());
  }
  // Names are unique and all known, so an equal count means that none is missing.
  if (loaded.info.tensors.size() != parameters.size())
    refuse("parameters", std::to_string(loaded.info.tensors.size()) + " entries", std::to_string(parameters.size()));
  loaded.network->eval();
  return loaded;
}

LoadedWeights load_weights(const std::string& path) { return load_weights(read_weights_bytes(path), path); }

}  // namespace cryored
