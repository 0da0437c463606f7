#pragma once
// Times of the network and of its parts against this machine's own matrix-multiply peak. Free of torch.

#include <string>
#include <vector>

#include "models/block_denoiser.hpp"

namespace cryored {

struct TimingOptions {
  std::string device = "auto";
  int threads = 0;  ///< 0: LibTorch's own choice
  int block = 0;    ///< 0: the weights' (or 64 without weights)
  int batch = 1;
  int repeats = 7;
  std::string weights;  ///< empty: the default architecture with random weights
};

/// What the clock on the wall and the processor's say of one action: medians and best of several runs. On a busy
/// machine the wall counts others' work too; on a GPU the processor's time means nothing.
struct Seconds {
  double wall = 0, best_wall = 0, processor = 0, best_processor = 0;
};

/// A class of operations of one pass, timed alone on tensors of the real shapes.
struct PartTiming {
  std::string name;  ///< "level 0 convolutions", "norm and activation", ...
  Seconds seconds;
  double gflop = 0;  ///< 0 where the part is bound by memory alone
};

struct PrecisionTiming {
  Precision precision = Precision::float32;
  double peak_gflop = 0;  ///< of one torch::mm of 2048 (GPU: 8192)
  Seconds peak, pass;     ///< that product; one forward pass of one batch
  std::vector<PartTiming> parts;
};

struct DenoiseTiming {
  std::string device_text, architecture;
  int threads = 0, block = 0, batch = 1;
  double gflop_per_block = 0;
  std::vector<PrecisionTiming> precisions;  ///< float32, bf16
};

DenoiseTiming time_denoiser(const TimingOptions& options);

}  // namespace cryored
