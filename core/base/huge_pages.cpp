#include "core/base/huge_pages.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace cryored {

void prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory), first = (begin + kHugePage - 1) / kHugePage * kHugePage,
             end = (begin + bytes) / kHugePage * kHugePage;
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}

}  // namespace cryored
