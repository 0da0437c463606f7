# Imported targets for LibTorch: cryored::torch.
#
# The wheel's own find_package(Torch) insists on the CUDA toolkit of the build
# machine, so we import libtorch_cpu and libc10 ourselves. Programs link the CPU
# part only; libtorch_cuda.so is loaded at run time where a GPU is to be used.
# The set-up step of ./dev decides which LibTorch it is (Torch_DIR, the user's
# PyTorch, or the pinned wheel) and passes both variables.
set(CRYORED_TORCH_ROOT "${CMAKE_SOURCE_DIR}/build/deps/libtorch/torch" CACHE PATH
    "LibTorch: folder with include/ and lib/")
set(CRYORED_TORCH_RUNTIME "${CMAKE_SOURCE_DIR}/build/deps/libtorch/nvidia/cu13/lib" CACHE PATH
    "Folder of libcudart and libcupti that libtorch_cpu.so needs at start; empty where LibTorch finds its own")

if(NOT EXISTS "${CRYORED_TORCH_ROOT}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found: ${CRYORED_TORCH_ROOT}/lib/libtorch_cpu.so does not exist. "
                      "Run ./dev setup, or pass -DCRYORED_TORCH_ROOT=<folder with include/ and lib/>.")
endif()
if(CRYORED_TORCH_RUNTIME AND NOT IS_DIRECTORY "${CRYORED_TORCH_RUNTIME}")
  message(FATAL_ERROR "CRYORED_TORCH_RUNTIME is not a folder: ${CRYORED_TORCH_RUNTIME}. "
                      "Run ./dev setup, or pass -DCRYORED_TORCH_RUNTIME= (empty) if LibTorch finds its own CUDA runtime.")
endif()

# The version moved to another header in 2.9.
set(CRYORED_TORCH_VERSION "")
foreach(header torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS "${CRYORED_TORCH_ROOT}/include/${header}" AND NOT CRYORED_TORCH_VERSION)
    file(STRINGS "${CRYORED_TORCH_ROOT}/include/${header}" lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9]+" "." CRYORED_TORCH_VERSION "${lines}")
    string(REGEX REPLACE "^\\.|\\.$" "" CRYORED_TORCH_VERSION "${CRYORED_TORCH_VERSION}")
  endif()
endforeach()
if(CRYORED_TORCH_VERSION VERSION_LESS 2.7)
  message(FATAL_ERROR "LibTorch in ${CRYORED_TORCH_ROOT} is version '${CRYORED_TORCH_VERSION}'; needed is 2.7 or newer. "
                      "Run ./dev setup --torch wheel for the pinned one.")
endif()
message(STATUS "LibTorch ${CRYORED_TORCH_VERSION}: ${CRYORED_TORCH_ROOT}")

add_library(cryored_torch_c10 SHARED IMPORTED)
set_target_properties(cryored_torch_c10 PROPERTIES IMPORTED_LOCATION "${CRYORED_TORCH_ROOT}/lib/libc10.so")
add_library(cryored_torch_cpu SHARED IMPORTED)
set_target_properties(cryored_torch_cpu PROPERTIES IMPORTED_LOCATION "${CRYORED_TORCH_ROOT}/lib/libtorch_cpu.so")
add_library(cryored_torch INTERFACE)
target_include_directories(cryored_torch SYSTEM INTERFACE
  "${CRYORED_TORCH_ROOT}/include" "${CRYORED_TORCH_ROOT}/include/torch/csrc/api/include")
target_link_libraries(cryored_torch INTERFACE cryored_torch_cpu cryored_torch_c10)
foreach(folder "${CRYORED_TORCH_ROOT}/lib" ${CRYORED_TORCH_RUNTIME})
  target_link_options(cryored_torch INTERFACE "LINKER:-rpath,${folder}" "LINKER:-rpath-link,${folder}")
endforeach()
# RPATH instead of RUNPATH: it holds for the libraries that LibTorch itself loads, too.
target_link_options(cryored_torch INTERFACE "LINKER:--disable-new-dtags")
add_library(cryored::torch ALIAS cryored_torch)
