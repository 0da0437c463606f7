#pragma once
// Memory in pages of 2 MiB: faults and translations of large arrays cost more than the work on them otherwise.

#include <cstddef>

namespace cryored {

/// What the kernel's huge pages begin at on x86-64.
inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Asks the kernel for huge pages where `bytes` from `memory` hold whole ones. A hint: where the system has none
/// (/sys/kernel/mm/transparent_hugepage/enabled: never) nothing changes.
void prefer_huge_pages(void* memory, std::size_t bytes) noexcept;

}  // namespace cryored
