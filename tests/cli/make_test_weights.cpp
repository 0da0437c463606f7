// make_test_weights FILE VOXEL_SIZE identity|random|confident: a tiny network, written with the product's own
// writer. "identity": as created, its correction is zero;
// "confident": at random, with a table for --confidence per-shell. Used by the tests of the programs.

#include <torch/utils.h>

#include <iostream>
#include <string>

#include "core/base/error.hpp"
#include "models/unet_weights.hpp"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    cryored::UNetConfig config;
    config.levels = 2;
    config.width = 8;
    torch::manual_seed(5);
    cryored::UNet3d network(config);
    if (std::string(argv[3]) != "identity") {
      const torch::NoGradGuard no_gradient;
      for (auto& parameter : network->parameters()) parameter.add_(0.05 * torch::randn_like(parameter));
    }
    cryored::WeightsInfo info;
    info.name = std::string("test-") + argv[3];
    info.licence = "CC0-1.0";
    info.date = "2026-01-01";
    info.voxel_size = std::stod(argv[2]);
    info.block = 32;
    if (std::string(argv[3]) == "confident")  // 1 up to 12 A, falling to 0 at 8 A
      info.confidence = cryored::ConfidenceTable{{1 / 12., 1 / 8.}, {0}, {0}, {1, 0}, 4};
    cryored::save_weights(argv[1], network, info);
  } catch (const cryored::Error& error) {
    std::cerr << "make_test_weights: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
