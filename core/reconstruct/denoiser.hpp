#pragma once
// What RED needs of a denoiser; the networks of models/ implement it, tests use the identity.

#include <string>

#include "core/fourier/grid.hpp"

namespace cryored {

class Denoiser {
 public:
  virtual ~Denoiser() = default;
  /// Voxel size in A at which maps must be handed over; 0 when any will do.
  virtual double voxel_size() const = 0;
  /// Denoised copy of an unregularised real-space map of any cubic box at voxel_size(),
  /// on the same grey scale. Throws SystemError when the device fails.
  virtual Map denoise(const Map& map) = 0;
  /// For the record: "unet5-w16 sha256:..." and the like.
  virtual std::string description() const = 0;
};

}  // namespace cryored
