#pragma once
// Pairs of the noise-free truth and the truth with pure Gaussian noise (Kimanius et al., section 3.1): what the paper
// compares the denoiser of RELION's intermediates with.

#include <cstdint>
#include <vector>

#include "training/pairs.hpp"

namespace cryored {

/// 2 * rounds pairs of one structure. The noise has the spectrum of white image noise after reconstruction from uniform
/// views, power proportional to the shell radius; its height puts FSC 0.143 of two such maps at a shell drawn uniformly
/// between 20 A and Nyquist. The cut lies 8 to 12 shells beyond it, as in make_pairs.
std::vector<TrainingPair> gaussian_pairs(const Structure& structure, const PairOptions& options, std::uint64_t seed);

/// The pair with its input replaced by the target and Gaussian noise of the spectrum that the input's errors have: the
/// profile that the paper takes from RELION's intermediate maps.
TrainingPair gaussian_twin(const TrainingPair& pair, std::uint64_t seed);

/// A map of Gaussian noise with `power` per shell (of forward()'s coefficients) over the whole map, its standard
/// deviation where `mask` is 0 `solvent` times that where it is 1.
Map shaped_noise(const std::vector<double>& power, const Map& mask, double solvent, std::uint64_t seed);

}  // namespace cryored
