#pragma once
// The GPU side of the pipeline: libcryored_cuda.so (core/cuda), loaded when first used. It equals the CPU to
// 1e-5. Every failure is a SystemError that names the way out; nothing falls back to the CPU by itself.

#include <string>

#include "core/reconstruct/gridding.hpp"

namespace cryored::gpu {

/// Path of the library: $CRYORED_CUDA_LIBRARY, else lib/cryored/libcryored_cuda.so beside the program's bin,
/// or in the program's own folder; empty when there is none.
std::string library_path();

/// Throws SystemError unless GPU `device` is there, its driver works and the library holds code for it.
void require(int device);

/// gridding_weights() on a GPU, all rounds in double precision. Needs about 25 (2 R + 3)^3 bytes of GPU memory in 3D.
BallWeights gridding_weights(int device, const HalfBall& ball, const ColumnWeights& weights, double extent, int rounds);

/// The inverse transform of finish(): V times `scale`, centred, on the even box `padded`, cropped to `box`.
Map inverse(int device, const HalfBall& ball, const BallSpectrum& spectrum, int padded, int box, double scale);

}  // namespace cryored::gpu
