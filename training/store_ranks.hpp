#pragma once
// Ranks that torchrun-style variables describe.

#include <memory>

#include "training/ranks.hpp"

namespace cryored {

/// Joins through LibTorch's TCPStore. Sums go through the store too: each rank adds up one part of the values, in the
/// order of the ranks. Made for a few processes; MPI is faster. Throws SystemError when the others do not come.
std::unique_ptr<Ranks> join_store(const TorchrunVariables& address);

}  // namespace cryored
