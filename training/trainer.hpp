#pragma once
// Training of the denoiser on pairs of half-maps and truth.

#include <cstdint>
#include <functional>
#include <string>

#include "models/unet_config.hpp"
#include "models/weights_file.hpp"
#include "training/dataset.hpp"

namespace cryored {

struct TrainOptions {
  std::string pairs;  ///< folder of shards
  std::string run;    ///< folder of the run: checkpoint.pt, log.jsonl, denoiser.crw
  UNetConfig network;
  std::int64_t steps = 10000;  ///< total, over all resumptions
  int batch = 2;
  double learning_rate = 1e-3;  ///< peak; linear warm-up over 200 steps, cosine to 1 % at the end
  double weight_decay = 1e-4;
  double average = 0.999;  ///< decay of the moving average of the weights, which is what is shipped
  bool bf16 = true;        ///< mixed precision: convolutions in bf16, sums in float32
  std::uint64_t seed = 1;
  std::int64_t validate_every = 500;
  int validation_pairs = 48;
  std::string device = "cpu";  ///< "cpu" or "cuda"
};

/// Mean over shells from 15 A to the cut, over the validation pairs.
struct Validation {
  double fsc_in = 0, fsc_out = 0;
  double worst_shell = 0;  ///< most negative change of any shell, averaged over pairs first
  double loss = 0;
};

/// Trains, resuming from run/checkpoint.pt when it is there; on the CPU a killed run resumes to
/// the same weights bit for bit as long as the shards are the same. Reports every validation
/// through `progress` (one JSON object, also appended to log.jsonl) and leaves run/denoiser.crw.
void train(const TrainOptions& options, const std::function<void(const std::string& json)>& progress);

}  // namespace cryored
