#pragma once
// Maps without prior, mask or denoiser: from RELION's B and K, or reconstructed anew from orientations.

#include <functional>
#include <optional>
#include <string>

#include "core/fourier/grid.hpp"

namespace cryored {

/// Of every relion_reconstruct with orientations that are given.
inline constexpr int kAnglesPadding = 2;

/// (B1 + B2) / (K1 + K2), cryored's own reconstruction with RELION's gridding correction and no prior, from what RELION
/// handed over for both halves in the last finished iteration of the job in `folder`, or the mean of
/// RELION's unfiltered half-maps where the job converged without --external_reconstruct; nothing where neither is
/// there. Throws InputError for files that are not what they must be.
std::optional<Map> joined_raw(const std::string& folder);

/// The same from the two STAR files of --external_reconstruct.
Map joined_raw(const std::string& star_half1, const std::string& star_half2);

/// relion_reconstruct of the particles of `star` with the orientations in it, padding kAnglesPadding, no prior;
/// `subset` 1 or 2 takes one half, 0 all. Writes `<output>` and `<output>.log`. False when cancelled. Throws
/// SystemError with the end of the log.
bool run_relion_reconstruct(const std::string& star, const std::string& output, bool ctf, int subset,
                            const std::function<bool()>& cancelled);

/// The same, and reads the map.
Map reconstruct_with_angles(const std::string& star, const std::string& output, bool ctf, int subset = 0);

}  // namespace cryored
