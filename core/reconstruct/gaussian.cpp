#include "core/reconstruct/gaussian.hpp"

#include "core/reconstruct/pipeline.hpp"

namespace cryored {

Map reconstruct_gaussian(const ReconstructRequest& request, const RequestArrays& arrays,
                         const ReconstructOptions& options) {
  BallSpectrum spectrum;
  HalfBall ball;
  {
    // n is as large as half of V: gone before the map is made.
    FourierWeights weights = fourier_weights(request, arrays, Prior::tau2, options);
    spectrum = weighted_data(request, arrays, weights);
    ball = std::move(weights.ball);
  }
  return finish(request, ball, spectrum, options);
}

}  // namespace cryored
