#pragma once
// The folder of a training run: one process at a time, no remains of killed ones.

#include <optional>
#include <string>

#include "core/base/folder_lock.hpp"

namespace cryored {

class RunFolder {
 public:
  /// Makes and locks the folder, and removes temporary files that a killed run left in it. Throws SystemError when it
  /// cannot be written or another process trains in it.
  explicit RunFolder(const std::string& path);

 private:
  std::optional<FolderLock> lock_;
};

}  // namespace cryored
