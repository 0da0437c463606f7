#pragma once
// Images of one map: central slice, CTF, move, transform back. What relion_project computes.

#include <memory>
#include <string>
#include <vector>

#include "core/fourier/image_transform.hpp"
#include "core/imaging/ctf.hpp"
#include "simulation/projector.hpp"

namespace cryored {

/// How one particle lies and was imaged.
struct View {
  Rotation rotation;
  double x = 0, y = 0;       ///< where the particle's centre lies, pixels from box/2
  const Ctf* ctf = nullptr;  ///< null: none
};

/// Copies share the map's transform. Not for several threads at once: each takes a copy.
class Imager {
 public:
  /// `map` with even box; slices reach to radius box/2 - 1. Padding 2, as RELION's.
  Imager(const Map& map, double pixel_size);

  std::size_t box() const { return pixels_->box; }
  /// Half transform of the image, (box / 2 + 1) x box, origin at pixel 0; ImageTransform::inverse makes the image of
  /// it.
  void transform(const View& view, std::complex<float>* half);
  /// box x box values, 16-byte aligned.
  void image(const View& view, float* out);
  /// Variance of the image's pixels.
  double variance(const View& view);

 private:
  void slice(const View& view);

  double unit_;  ///< 1/A per pixel of the transform
  std::shared_ptr<const SlicePixels> pixels_;
  std::shared_ptr<const Projector> projector_;
  std::shared_ptr<const ImageTransform> transform_;
  std::vector<std::complex<float>> slice_;
  std::vector<float> ctf_;
  Grid<std::complex<float>> half_;
};

/// Projects `map` along every row of the particle table of `star` (RELION 3.1 to 5: orientations, origins in A, CTF
/// columns where `with_ctf`) into an MRC stack, with threads() threads: the work of relion_project --ang. Published
/// atomically. Throws InputError naming file, label and row.
void project_particles(const Map& map, double pixel_size, const std::string& star_path, bool with_ctf,
                       const std::string& stack_path);

}  // namespace cryored
