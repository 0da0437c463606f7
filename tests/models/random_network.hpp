#pragma once
// Networks whose last convolution is not zero, so that every parameter matters.

#include <torch/types.h>
#include <torch/utils.h>

#include "models/unet.hpp"

namespace cryored::testing {

inline UNet3d random_network(const UNetConfig& config, int seed) {
  torch::manual_seed(seed);
  torch::NoGradGuard no_grad;
  UNet3d network(config);
  for (auto& p : network->named_parameters())
    if (p.key().find("last") != std::string::npos || p.key().find("shift") != std::string::npos)
      p.value().normal_(0, 0.2);
  network->eval();
  return network;
}

}  // namespace cryored::testing
