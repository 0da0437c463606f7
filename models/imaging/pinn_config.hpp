#pragma once
// The phase-retrieval network as data: what its weights file stores and the network is built from. Free of torch.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace cryored {

/// What a stage's U-Net sees besides the phase after the physics step, which is always its first channel.
enum class PinnChannel {
  previous,     ///< the phase that the stage began with
  observation,  ///< g - 1
  amplitude,    ///< the logarithm of the back-propagated wave's modulus
  wiener,       ///< the linear estimate: g - 1 through conj(T) / (|T|^2 + 0.1), T of linear_transfer()
};
const char* to_string(PinnChannel channel);
/// False when the text names none.
bool from_string(const std::string& text, PinnChannel& channel);

/// K stages, each the physics step (eq. 4 of Yang et al. 2025) and a 2D U-Net on the phase.
struct PinnConfig {
  int stages = 10;          ///< K
  bool shared = false;      ///< one U-Net for all stages instead of one each
  int levels = 3;           ///< resolutions of a U-Net
  int width = 16;           ///< channels of its first level; each further level doubles them
  int convs_per_level = 2;  ///< 3 x 3 convolutions
  bool residual = true;     ///< the U-Net changes its first channel; else it makes the phase anew
  /// The U-Net computes on phases divided by the SD of g, so that noise looks the same at every dose.
  bool scaled = true;
  std::vector<PinnChannel> channels;

  bool operator==(const PinnConfig&) const = default;
  /// Throws UsageError when a field is out of range or a channel is named twice.
  void check() const;
  /// "pinn10-unet3-w16", with what differs from the default appended.
  std::string name() const;
};

/// Resolution in A for which the grids of training and retrieval are free of aliasing (padded_box()). Finer detail, of
/// which single exposures tell next to nothing, may come back at the other edge; grids for Nyquist have up to twice the
/// area at high defocus and small pixels.
inline constexpr double kPinnGridResolution = 3;

/// "pinn": the "type" of this architecture in weights files.
inline constexpr const char* kPinnType = "pinn";
nlohmann::json to_json(const PinnConfig& config);
/// Throws InputError naming `where` and the field.
PinnConfig pinn_config(const nlohmann::json& json, const std::string& where);

}  // namespace cryored
