#pragma once
// What turns particle images into phases; implemented by filters (preprocessing/phase) and by methods that model the
// wave (models).

#include <string>
#include <vector>

#include "core/imaging/ctf.hpp"

namespace cryored {

/// Images of one box and pixel size, as RELION normalises them: background mean 0 and SD 1, particles bright.
struct ParticleImages {
  std::size_t box = 0;    ///< pixels
  double pixel_size = 0;  ///< A
  double dose = 0;        ///< electrons / A^2, for the relation to intensities (core/imaging/electrons.hpp)
  std::vector<CtfParameters> ctfs;
  std::vector<float> pixels;  ///< [ctfs.size()][box][box], x fastest

  std::size_t count() const { return ctfs.size(); }
  float* image(std::size_t i) { return pixels.data() + i * box * box; }
};

class PhaseMethod {
 public:
  virtual ~PhaseMethod() = default;
  /// Throws InputError, without a row's name, for a CTF that retrieve() would refuse.
  virtual void check(const CtfParameters&, std::size_t /*box*/, double /*pixel_size*/) const {}
  /// Replaces the images by what was retrieved: matter is positive, the scale is free. The result of an image depends
  /// on nothing but the images of this call and their order, not on threads or earlier calls.
  /// Throws InputError where check() would.
  virtual void retrieve(ParticleImages& images) = 0;
  /// Name and every parameter: two methods of equal description give equal results.
  virtual std::string description() const = 0;
};

/// How the images that come out stand to their CTF: what RELION must be told.
enum class CtfState {
  as_before,  ///< contrast still carries the CTF: --ctf
  flipped,    ///< --ctf --ctf_phase_flipped
  corrected,  ///< no --ctf; RELION 5 reads rlnCtfDataAreCtfCorrected
};

}  // namespace cryored
