#pragma once
// Training of a network: what cryored train hands over. Free of torch; training/task.hpp is what a new kind
// of training implements.

#include <cstdint>
#include <functional>
#include <string>

#include "models/imaging/pinn_config.hpp"
#include "models/unet_config.hpp"

namespace cryored {

/// What produced a result, for the model card.
struct Provenance {
  std::string version, commit, command;
};

/// Of the task pinn. mse: mean square error of the phase over the truth's variance. whitened: half as much of the same
/// of phases whose rings all have the truth's power 1 comes on top. frc: half the mean square error, and what the area
/// under the Fourier ring correlation lacks to 1.
enum class PhaseLoss { mse, whitened, frc };

/// Of the task denoise, the squared error over the truth's power: as the mean of that ratio over shells, of the whole
/// map, or half of each.
enum class DenoiseLoss { shells, map, both };

/// What the output shall be: the sharp truth cut at the input's shell; that times the half-map FSC per shell (Kimanius
/// et al. 2021, section 3.1); or times sqrt(2 FSC / (1 + FSC)), the expected FSC of the two halves' mean to the truth.
enum class DenoiseTarget { sharp, fsc, cref };

struct TrainOptions {
  std::string task = "denoise";  ///< one of the tasks of make_task()
  std::string run;               ///< folder of the run: checkpoint, log, curves, weights, model card
  std::string init;              ///< weights file that network and moving average start from; empty: random
  std::int64_t steps = 10000;    ///< total, over all resumptions
  int batch = 2;                 ///< examples a step in all, whatever the number of ranks and parts
  int accumulate = 1;            ///< parts in which a rank computes its share of the batch, to save memory
  double learning_rate = 1e-3;   ///< peak; linear warm-up, then cosine to 1 % at the end, or constant
  std::int64_t warm_up = 200;    ///< steps
  bool cosine = true;
  double weight_decay = 1e-4;
  double average = 0.999;      ///< decay of the moving average of the weights, which is what is shipped
  bool bf16 = true;            ///< mixed precision: convolutions in bf16, sums in float32
  bool channels_last = false;  ///< channels innermost in memory
  std::uint64_t seed = 1;
  std::int64_t validate_every = 500;  ///< steps; the checkpoint is written then, too
  std::int64_t save_every = 0;        ///< steps between further checkpoints; 0: none
  int validation_examples = 48;
  bool best = true;            ///< the weights file holds the weights of the best validation, else of the last
  std::int64_t patience = 0;   ///< stop after so many validations without a better one; 0: never
  std::string device = "cpu";  ///< "cpu", "cuda" (of several ranks of a machine each takes its own) or "cuda:N"
  int threads = 0;             ///< of this process; 0: all
  std::string mpi_library;     ///< libcryored_mpi.so, loaded when a launcher has started several ranks
  std::string nccl_library;    ///< libcryored_nccl.so, loaded when each of several ranks has a GPU
  Provenance provenance;
  std::function<bool()> stop = {};  ///< asked at every step; true: write a checkpoint and end

  /// Task denoise.
  struct Denoise {
    std::string pairs;     ///< folder of shards
    std::string held_out;  ///< folder whose held-out structures are validated on instead; empty: `pairs`
    double voxel = 0;      ///< A, of shards that do not state theirs; 0: refuse those
    UNetConfig network;
    DenoiseTarget target = DenoiseTarget::sharp;
    DenoiseLoss loss = DenoiseLoss::both;
    bool turn = true;       ///< augment by the 24 rotations of the cube
    double assemblies = 0;  ///< share of the examples to which a second pair is added
  } denoise;

  /// Task pinn.
  struct Pinn {
    std::string structures;            ///< a file, or a folder, of which one structure in ten (by name) is held out
    std::string held_out;              ///< file or folder to validate on instead; required where `structures` is a file
    std::string setting = "paper";     ///< PhaseSetting::named()
    std::int64_t box = 0;              ///< pixels; 0: the setting's
    std::int64_t pairs = -1;           ///< fixed exposures, 0 endless ones; below 0: the setting's
    std::int64_t most_structures = 0;  ///< use so many, evenly over the list; 0: all
    int repeat = 1;                    ///< exposures of each view in a row; they share projection and optics
    PhaseLoss loss = PhaseLoss::mse;
    bool every_stage = false;  ///< the phases of all stages count in the loss, not only the last one
    PinnConfig network;
  } pinn;
};

/// Where a run stands, after every step; on rank 0 only.
struct TrainProgress {
  std::int64_t step = 0, of = 0;
  double loss = 0;  ///< mean since the last validation
  double rate = 0;
  double examples_per_second = 0;  ///< this session, validations left out
  double seconds_left = 0;         ///< validations included
  std::string validation;          ///< the line added to log.jsonl where there was a validation
  std::string note;                ///< something to say once, before the first step
};

enum class TrainEnd { finished, patience, stopped };

/// Trains, resuming from run/checkpoint.pt when it is there; on the CPU a killed run resumes to
/// the same weights bit for bit as long as the data, the number of threads and of ranks are the same.
///
/// Leaves in `run`: log.jsonl (a line per validation), curves.json, curves.html, the weights (denoiser.crw)
/// and their model card (denoiser.md). Started by mpirun, srun or torchrun-style variables with several ranks, each
/// calls this; rank 0 writes. See docs/training.md.
///
/// A run with `init` is validated before its first step, so that with `best` the result is never worse
/// (on the validation examples) than what it started from. Throws InputError when data or `init` do not fit the run
/// or are damaged, when a checkpoint was started from other weights or with other options that decide the result
/// (steps, weight decay, validation intervals, patience, device, threads and ranks may change), UsageError for a batch
/// that cannot be shared out, SystemError when another process trains in the folder, or when the loss is no longer
/// finite.
TrainEnd train(const TrainOptions& options, const std::function<void(const TrainProgress&)>& progress);

}  // namespace cryored
