#pragma once
// The network as a Denoiser: whole maps of any box, in overlapping blocks. Free of torch.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/reconstruct/denoiser.hpp"
#include "models/unet_config.hpp"
#include "models/weights_file.hpp"

namespace cryored {

/// bf16: convolutions in bfloat16, everything outside the network and the residual sum in float32.
/// Changes the correction by about 1 % of its root mean square (tested: at most 3 %); faster where the
/// processor has bfloat16 instructions (avx512_bf16, amx_bf16) or on a GPU, slower elsewhere.
enum class Precision { float32, bf16 };

struct DenoiserOptions {
  std::string device = "auto";  ///< auto, cpu, cuda, cuda:N (see choose_device)
  Precision precision = Precision::float32;
  int block = 0;     ///< edge in voxels, a multiple of the network's (16 for 5 levels); 0: see default_block
  int overlap = -1;  ///< voxels shared by neighbouring blocks at least; -1: a quarter of the block
  int batch = 0;     ///< blocks in one call of the network; 0: 1 on the CPU, 4 on a GPU
  std::uint64_t memory_limit = 0;  ///< bytes that denoise() may take, see denoiser_memory; 0: no limit
  int threads = 0;                 ///< of the CPU, for the whole process; 0 leaves LibTorch's own choice
};

/// A block should hold a whole molecule of this size, in A.
inline constexpr double kBlockSpan = 120;

/// The block used where none is given: that of the training, longer by a third at most where it spans less than
/// kBlockSpan, less where the map, rounded up to the network's multiple, is smaller. Not simply the whole map where
/// that is a little longer: the network normalises over its block, and one with another share of empty volume gains
/// less (docs/denoiser.md). voxel_size: the network's, A.
int default_block(const UNetConfig& config, int training_block, double voxel_size, std::size_t map_edge);

/// Upper bound on the memory that denoise() takes beyond its argument, the program itself
/// (LibTorch: 0.3 GB) and the loaded weights; bytes:
///   4 N^3 (the result) + batch * b^3 * (8 + s * (channels + c * width)) + 4 * parameters + 64 MiB
/// with block edge b, channels of the input (the network's own included), s = 4, c = 10 for float32, s = 2, c = 12 for
/// bf16. The widest moment is the first level of the decoder, where skip connection, joined input, reordered copies and
/// output coexist; three of the c are for what the heap keeps between them. Convolutions hold a reordered copy of the
/// parameters.
std::uint64_t denoiser_memory(const UNetConfig& config, std::size_t map_edge, int block, int batch,
                              Precision precision);

/// What may differ from one denoise() of a loaded network to the next.
struct PassOptions {
  int threads = 0;                   ///< of the CPU; 0: unchanged
  std::uint64_t memory_limit = 0;    ///< as DenoiserOptions::memory_limit
  std::function<void()> checkpoint;  ///< called between blocks; what it throws ends the pass
};

class BlockDenoiser : public Denoiser {
 public:
  virtual void set_pass_options(const PassOptions& options) = 0;
  /// Gives memory back to the device that is held for the next pass only.
  virtual void release_memory() = 0;
  virtual const WeightsInfo& weights() const = 0;
  /// "CPU", "GPU 0: ..." and why, for the log.
  virtual std::string device_text() const = 0;

  /// Of the last denoise(): what memory, limit and device led to.
  struct Pass {
    int block = 0, overlap = 0, batch = 0;
    long blocks = 0;
    double seconds = 0;
  };
  virtual const Pass& last_pass() const = 0;
};

/// Loads and verifies the weights, decides on the device and makes it ready.
///
/// denoise(): voxels are divided by map_scale() of the whole map under the rule in the metadata,
/// cut into blocks (blocks.hpp), sent through the network, blended and multiplied
/// back. Maps are cubic, of any edge from 1. The CPU's result is the same in every run with the same
/// number of threads. A GPU that runs out of memory is tried again with smaller batches, then blocks.
///
/// Throws InputError (weights, NaN or infinity in the map), UsageError (options, map not cubic, memory
/// limit too small for the smallest block), SystemError (device), DeviceMemoryError (the GPU is too full even for
/// the smallest block).
std::unique_ptr<BlockDenoiser> make_denoiser(const std::string& weights_path, const DenoiserOptions& options = {});

}  // namespace cryored
