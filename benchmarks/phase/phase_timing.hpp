#pragma once
// Time of cryored phase --method pinn against this machine's own matrix-multiply peak. Free of torch.

#include <string>
#include <vector>

#include "models/block_denoiser.hpp"

namespace cryored {

struct PhaseTimingOptions {
  std::string device = "auto";
  std::string weights;  ///< a file
  int threads = 1;
  int box = 128;
  double pixel_size = 1, defocus = 10000;  ///< A; they decide the grid
  int count = 32;                          ///< images
  int repeats = 5;
};

struct PhaseTiming {
  Precision precision = Precision::float32;
  /// Medians of the repeats, for all images: on the clock, of the processors, of the processors in the U-Nets alone.
  double wall = 0, processor = 0, nets_processor = 0;
  double gflop = 0;  ///< convolutions of all images
  double peak = 0;   ///< best GFLOP per second of one processor (GPU: of the clock) in torch::mm of 2048 (GPU: 8192)
};

struct PhaseTimings {
  std::string device_text, description;
  bool gpu = false;
  std::size_t grid = 0;  ///< pixels, that waves are propagated on
  std::vector<PhaseTiming> precisions;
};

/// Throws InputError (weights), SystemError (device).
PhaseTimings time_phase_network(const PhaseTimingOptions& options);

}  // namespace cryored
