#pragma once
// What the methods of cryored phase that model the wave share. Private to models/: brings in torch.

#include <torch/nn/module.h>
#include <torch/types.h>

#include "core/particles/phase_method.hpp"
#include "models/device.hpp"

namespace cryored {

/// Images become intensities by their dose (g = 1 - c I, core/imaging/electrons.hpp) and are worked on a few at a time,
/// those that need one grid together, fewer where memory is short. On the CPU a batch keeps to one of `threads`
/// threads, so that the result does not depend on how many there are.
class WaveMethod : public PhaseMethod {
 public:
  /// `resolution`: A, of the grids that images are propagated on, see padded_box(). Throws SystemError (device).
  WaveMethod(const DeviceChoice& device, int threads, double resolution);
  void check(const CtfParameters& ctf, std::size_t box, double pixel_size) const override;
  void retrieve(ParticleImages& images) override;

 protected:
  struct Batch {
    torch::Tensor g;         ///< [B, box, box]
    torch::Tensor transfer;  ///< [B, P, P]
    torch::Tensor absorbed;  ///< [B, 1, 1]
    double contrast;         ///< c, which is the noise of g
    double pixel_size;       ///< A
  };
  /// [B, box, box], float32. Called from several threads at once, without gradients.
  virtual torch::Tensor phases(const Batch& batch) const = 0;
  const c10::Device& device() const { return device_; }
  /// Moves a network of the method to the device. Throws SystemError, DeviceMemoryError.
  void load(torch::nn::Module& network, c10::ScalarType type) const;

 private:
  [[noreturn]] void out_of_memory(const std::string& what, const std::string& needed) const;
  void retrieve_batch(ParticleImages& images, std::size_t first, std::size_t last, std::size_t edge) const;

  DeviceChoice choice_;
  c10::Device device_;
  int threads_;
  double resolution_;
};

}  // namespace cryored
