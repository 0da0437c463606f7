#pragma once
// The methods of cryored phase that need LibTorch live in libcryored_phase_methods.so, loaded only when one of them
// runs.

#include <memory>
#include <string>

#include "core/particles/phase_method.hpp"
#include "models/device.hpp"
#include "models/imaging/pinn_method.hpp"
#include "models/imaging/wave_methods.hpp"
#include "simulation/density.hpp"
#include "simulation/phase_image.hpp"

namespace cryored {

/// What the library hands out; both sides are built together, `layout` guards against a mixed installation.
struct PhaseApi {
  static constexpr int current_layout = 3;
  int layout;
  const char* version;  ///< PROJECT_VERSION
  std::unique_ptr<PhaseMethod> (*make_iterative)(const IterativeOptions& options, const DeviceChoice& device,
                                                 int threads);
  std::unique_ptr<PhaseMethod> (*make_tv)(const TvOptions& options, const DeviceChoice& device, int threads);
  std::unique_ptr<PhaseMethod> (*make_pinn)(const std::string& weights, Precision precision, const DeviceChoice& device,
                                            int threads);
  /// Exposures with known phase (training/phase_pairs.hpp), for evaluations.
  PhaseExposures (*simulate)(const Structure& structure, const PhaseImageOptions& options, int count, int blanks);
};

/// Loads the library, once per process; it stays loaded. Throws SystemError when it or LibTorch is missing, or when it
/// belongs to another version.
const PhaseApi& load_phase_library();

}  // namespace cryored
