#pragma once
// A folder for files that nobody needs afterwards.

#include <filesystem>
#include <string>

namespace cryored {

/// Made in the system's folder for temporary files ($TMPDIR), readable by this user only; removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder();  ///< throws SystemError
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace cryored
