#include "core/base/temporary_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "core/base/error.hpp"

namespace cryored {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "cryored-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw SystemError({pattern, "", std::strerror(errno), "a folder for temporary files", "set TMPDIR to another one"});
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace cryored
