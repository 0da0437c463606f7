#pragma once
// What relion_external_reconstruct computes (RELION 3.1.3 to 5.0.1), formula by formula.

#include <optional>
#include <vector>

#include "core/fourier/grid.hpp"
#include "core/reconstruct/request.hpp"

namespace cryored {

/// The Fourier weight and everything that follows it, shared by the Gaussian and the RED path.
struct ReconstructOptions {
  bool skip_gridding = false;
  int gridding_rounds = 10;
  std::optional<int> gpu;  ///< index of the GPU that computes; none: the CPU
};

/// x = B / (K + tau^-2) with RELION's gridding correction, crop, scale, soft mask and sinc^2.
/// Returns the N^3 (or N^2) map, origin at N/2.
Map reconstruct_gaussian(const ReconstructRequest& request, const RequestArrays& arrays,
                         const ReconstructOptions& options = {});

}  // namespace cryored
