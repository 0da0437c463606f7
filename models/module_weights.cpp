#include "models/module_weights.hpp"

#include <torch/types.h>

#include <algorithm>
#include <sstream>

#include "core/base/atomic_file.hpp"
#include "core/base/error.hpp"

namespace cryored {

WeightsInfo save_module(const std::string& path, torch::nn::Module& module, const WeightsInfo& info, StoredType type) {
  torch::NoGradGuard no_grad;
  std::vector<TensorSource> tensors;
  for (const auto& p : module.named_parameters()) {
    const auto t = p.value().detach().to(torch::kCPU, torch::kFloat).contiguous();
    tensors.push_back({p.key(), t.sizes().vec(), {t.data_ptr<float>(), t.data_ptr<float>() + t.numel()}});
  }
  const auto bytes = encode_weights(info, tensors, type);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
  return parse_weights(bytes, path);
}

void refuse_table(const std::string& file, const std::string& field, const std::string& found,
                  const std::string& allowed, const std::string& architecture) {
  throw InputError(
      Problem{file, field, found, allowed, "the table is not that of " + architecture + ": save the weights again"});
}

void fill_module(torch::nn::Module& module, std::span<const std::byte> file, const WeightsInfo& info,
                 const std::string& architecture) {
  torch::NoGradGuard no_grad;
  const auto parameters = module.named_parameters();
  for (const auto& tensor : info.tensors) {
    const torch::Tensor* target = parameters.find(tensor.name);
    if (!target)
      refuse_table(info.path, "parameter " + tensor.name, "an unknown name", "the names of this architecture",
                   architecture);
    if (target->sizes() != torch::IntArrayRef(tensor.shape)) {
      std::ostringstream found, expected;
      found << torch::IntArrayRef(tensor.shape);
      expected << target->sizes();
      refuse_table(info.path, "shape of " + tensor.name, found.str(), expected.str(), architecture);
    }
    const auto values = tensor_values(file, info, tensor);
    std::copy(values.begin(), values.end(), target->data_ptr<float>());
  }
  // Names are unique and all known, so an equal count means that none is missing.
  if (info.tensors.size() != parameters.size())
    refuse_table(info.path, "parameters", std::to_string(info.tensors.size()) + " entries",
                 std::to_string(parameters.size()), architecture);
}

}  // namespace cryored
