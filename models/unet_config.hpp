#pragma once
// The architecture of the denoiser as data: what the weights file stores and the
// network is built from. Free of torch, so that metadata can be read without it.

#include <cstdint>
#include <string>

namespace cryored {

enum class Norm { instance, group, none };  ///< group: groups of 8 channels
enum class Activation { silu, relu, leaky_relu };
enum class Down { max_pool, strided };    ///< 2^3 max pooling, or a 2^3 convolution of stride 2
enum class Up { transposed, trilinear };  ///< 2^3 transposed convolution, or interpolation and a 1^3 convolution

/// Edge length in voxels of the neighbourhood of UNetConfig::deviation.
constexpr int kDeviationWindow = 5;

/// A 3D U-Net: five stages, two convolutions each, skip connections and residual
/// learning as in Kimanius et al. (2021), section 3.1; normalisation and activation
/// are options because batch statistics serve badly at batch 1.
struct UNetConfig {
  int levels = 5;       ///< resolutions, the full one included: levels - 1 halvings
  int width = 16;       ///< channels of the first level; each further level doubles them ...
  int width_cap = 256;  ///< ... up to this many
  int in_channels = 1;  ///< channel 0 is the map; others are conditions of the training program
  /// The network sees one channel more, which it computes itself: the standard deviation of the map over
  /// kDeviationWindow^3 voxels around each (at the edge of a block, over those of them that lie inside).
  bool deviation = false;
  int convs_per_level = 2;  ///< 3^3 convolutions, each followed by norm and activation
  Norm norm = Norm::instance;
  Activation activation = Activation::silu;
  Down down = Down::max_pool;
  Up up = Up::transposed;
  bool residual_blocks = false;  ///< adds the first convolution's output to the level's output
  /// A second output of the last convolution, through 2 / (1 + exp(-m)), multiplies map + correction: 1 at the start, 0
  /// where the network finds nothing but solvent.
  bool mask_head = false;

  bool operator==(const UNetConfig&) const = default;

  /// Edge lengths of input blocks must be multiples of this: 2^(levels - 1).
  int multiple() const { return 1 << (levels - 1); }
  /// Channels at level 0 .. levels - 1.
  int channels(int level) const;
  int out_channels() const { return mask_head ? 2 : 1; }
  /// Channels that the first convolution reads.
  int first_channels() const { return in_channels + (deviation ? 1 : 0); }
  /// Throws UsageError when a field is out of range.
  void check() const;
  /// "unet5-w16", with the options that differ from the default appended.
  std::string name() const;
};

/// Floating-point operations (two for each multiply-add) of all convolutions of one
/// forward pass on an nx x ny x nz block.
double unet_flop(const UNetConfig& config, std::int64_t nx, std::int64_t ny, std::int64_t nz);

/// Number of trainable parameters.
std::int64_t unet_parameters(const UNetConfig& config);

const char* to_string(Norm value);
const char* to_string(Activation value);
const char* to_string(Down value);
const char* to_string(Up value);
/// Inverse of to_string; false when the text names none.
bool from_string(const std::string& text, Norm& value);
bool from_string(const std::string& text, Activation& value);
bool from_string(const std::string& text, Down& value);
bool from_string(const std::string& text, Up& value);

}  // namespace cryored
