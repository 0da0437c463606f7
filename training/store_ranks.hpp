#pragma once
// Ranks that torchrun-style variables describe.

#include <chrono>
#include <memory>

#include "training/ranks.hpp"

namespace cryored {

/// Joins through LibTorch's TCPStore. Sums go through the store too: each rank adds up one part of the values, in the
/// order of the ranks. Made for a few processes; MPI is faster. Throws SystemError when the others do not come. A call
/// that waits for others throws it when one has ended with an error, or has given no sign of life for `patience`: then
/// it was killed, or its machine is gone. Computing for long is no silence.
std::unique_ptr<Ranks> join_store(const TorchrunVariables& address,
                                  std::chrono::milliseconds patience = std::chrono::minutes(1));

}  // namespace cryored
