// make_phase_weights FILE: a tiny phase network at random, for the tests of the program.

#include <torch/utils.h>

#include <iostream>

#include "core/base/error.hpp"
#include "models/imaging/pinn_weights.hpp"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    cryored::PinnConfig config;
    config.stages = 2;
    config.levels = 2;
    config.width = 4;
    config.channels = {cryored::PinnChannel::previous, cryored::PinnChannel::wiener};
    torch::manual_seed(5);
    cryored::Pinn network(config);
    const torch::NoGradGuard no_gradient;
    for (auto& parameter : network->parameters()) parameter.add_(0.05 * torch::randn_like(parameter));
    cryored::WeightsInfo info;
    info.name = "test-phase";
    info.licence = "CC0-1.0";
    info.date = "2026-01-01";
    info.voxel_size = 2;
    info.block = 48;
    cryored::save_pinn(argv[1], network, info);
  } catch (const cryored::Error& error) {
    std::cerr << "make_phase_weights: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
