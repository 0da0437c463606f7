#include "cli/installation.hpp"

#include <filesystem>
#include <system_error>

#include "core/base/error.hpp"

namespace cryored {

// Written at build time (cmake/GitCommit.cmake), so that only one small file is compiled anew.
extern const char* const git_commit;

BuildInfo build_info() { return {CRYORED_VERSION, git_commit, CRYORED_COMPILER, CRYORED_BUILD_TYPE}; }

std::string own_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error)
    throw SystemError(
        Problem{"/proc/self/exe", "", error.message(), "a mounted /proc", "mount /proc in this container"});
  return path.string();
}

std::string prefix_folder() { return std::filesystem::path(own_path()).parent_path().parent_path().string(); }
std::string plugin_path() { return prefix_folder() + "/bin/cryored-reconstruct"; }
std::string denoise_library_path() { return prefix_folder() + "/lib/cryored/libcryored_denoise.so"; }
std::string train_library_path() { return prefix_folder() + "/lib/cryored/libcryored_train.so"; }
std::string mpi_library_path() { return prefix_folder() + "/lib/cryored/libcryored_mpi.so"; }
std::string phase_library_path() { return prefix_folder() + "/lib/cryored/libcryored_phase_methods.so"; }
std::string nccl_library_path() { return prefix_folder() + "/lib/cryored/libcryored_nccl.so"; }
std::string weights_folder() { return prefix_folder() + "/share/cryored/weights"; }

}  // namespace cryored
