#pragma once
// Where the parts of this installation are, relative to the running program:
// <prefix>/bin, <prefix>/lib and <prefix>/share, in the build tree as when installed.

#include <string>

namespace cryored {

/// Version numbers fixed at build time.
struct BuildInfo {
  std::string version;   ///< "0.1.0"
  std::string commit;    ///< git commit, "-dirty" appended when the tree had changes; "unknown" outside git
  std::string compiler;  ///< "GNU 12.2.0"
  std::string build_type;
};
BuildInfo build_info();

/// Full path of this program, symbolic links resolved. Throws SystemError without /proc.
std::string own_path();
/// <prefix>: the folder above the one that holds this program.
std::string prefix_folder();
std::string plugin_path();           ///< <prefix>/bin/cryored-reconstruct
std::string denoise_library_path();  ///< <prefix>/lib/cryored/libcryored_denoise.so
std::string train_library_path();    ///< <prefix>/lib/cryored/libcryored_train.so
std::string mpi_library_path();      ///< <prefix>/lib/cryored/libcryored_mpi.so
std::string phase_library_path();    ///< <prefix>/lib/cryored/libcryored_phase_methods.so
std::string nccl_library_path();     ///< <prefix>/lib/cryored/libcryored_nccl.so, where built with CUDA
std::string weights_folder();        ///< <prefix>/share/cryored/weights

}  // namespace cryored
