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
  std::string init;   ///< weights file that network and moving average start from; empty: random
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
  bool best = true;            ///< denoiser.crw holds the weights of the best validation, else of the last
  std::int64_t patience = 0;   ///< stop after so many validations without a better one; 0: never
  std::string device = "cpu";  ///< "cpu" or "cuda"
};

/// Over the validation pairs, shells from 15 A to the cut.
struct Validation {
  double fsc_in = 0, fsc_out = 0;  ///< mean FSC to the truth of the input and of the output
  double worst_shell = 0;          ///< most negative change of any shell, averaged over pairs first; at most 0
  double loss = 0;

  /// What the best weights are chosen by, larger is better: mean gain of the FSC, less what the
  /// worst shell loses.
  double objective() const { return fsc_out - fsc_in + worst_shell; }
};

/// Trains, resuming from run/checkpoint.pt when it is there; on the CPU a killed run resumes to
/// the same weights bit for bit as long as the shards are the same. Reports every validation
/// through `progress` (one JSON object, also appended to log.jsonl) and leaves run/denoiser.crw.
///
/// A run with `init` is validated before its first step, so that with `best` the result is never worse
/// (on the validation pairs) than what it started from. Throws InputError when `init` is damaged or of another
/// architecture, voxel size or grey scale, and when a checkpoint was started from other weights.
void train(const TrainOptions& options, const std::function<void(const std::string& json)>& progress);

}  // namespace cryored
