#include "core/base/temporary_folder.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include "core/base/error.hpp"

namespace cryored {

TemporaryFolder::TemporaryFolder() {
  // std::filesystem::temp_directory_path() says neither which folder nor why.
  const char* named = std::getenv("TMPDIR");
  const std::filesystem::path folder = named && *named ? named : "/tmp";
  std::string pattern = (folder / "cryored-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw SystemError({folder.string(), named && *named ? "TMPDIR" : "", std::strerror(errno),
                       "a folder for temporary files that can be written", "set TMPDIR to another one"});
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace cryored
