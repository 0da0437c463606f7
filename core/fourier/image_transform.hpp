#pragma once
// 2D transforms of square images of one size, for stacks: the plan is looked up once, and nothing is allocated per
// image.

#include <complex>
#include <cstddef>
#include <memory>

namespace cryored {

/// May be shared by threads: every call works on the caller's arrays only, which must be 16-byte aligned. The half
/// transform has (box / 2 + 1) x box coefficients; origin at pixel 0, no scaling in either direction.
class ImageTransform {
 public:
  explicit ImageTransform(std::size_t box);
  ~ImageTransform();
  ImageTransform(const ImageTransform&) = delete;
  ImageTransform& operator=(const ImageTransform&) = delete;

  void forward(const float* image, std::complex<float>* half) const;
  void inverse(const std::complex<float>* half, float* image) const;

 private:
  struct Plans;
  std::unique_ptr<Plans> plans_;
};

}  // namespace cryored
