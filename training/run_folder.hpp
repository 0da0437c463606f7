#pragma once
// The folder of a training run: one process at a time, no remains of killed ones.

#include <string>

namespace cryored {

class RunFolder {
 public:
  /// Makes and locks the folder, and removes temporary files that a killed run left in it. Throws SystemError when it
  /// cannot be written or another process trains in it.
  explicit RunFolder(const std::string& path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

 private:
  int lock_ = -1;
};

}  // namespace cryored
