#pragma once
// The normalisation RELION expects of particle images.

#include <cstddef>

namespace cryored {

/// Subtracts the mean and divides by the SD of the pixels outside a circle of `radius` pixels about pixel box / 2, as
/// relion_preprocess --norm does. A background that is almost constant, as denoising leaves it, does not blow the
/// particle up: the divisor is at least a tenth of the SD of the whole image, and the background's SD below 1 then.
/// False (image unchanged) when the image is constant. Throws UsageError when no pixel lies outside the circle.
bool normalise_background(float* image, std::size_t box, double radius);

}  // namespace cryored
