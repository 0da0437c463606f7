# CUDA for .cu files: AUTO compiles them where nvcc is found, ON insists on it, OFF never does.
# Sets CRYORED_HAVE_CUDA. A GPU is not needed to compile.
if(NOT CRYORED_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "CRYORED_CUDA is '${CRYORED_CUDA}'; allowed are AUTO, ON and OFF")
endif()
set(CRYORED_HAVE_CUDA OFF)
file(GLOB_RECURSE cuda_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/core/*.cu" "${CMAKE_SOURCE_DIR}/models/*.cu")
if(CRYORED_CUDA STREQUAL ON OR (CRYORED_CUDA STREQUAL AUTO AND cuda_sources))
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      # Turing to Blackwell (10.0 and 10.3 for data centres); newer GPUs compile the last one's PTX.
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90-real 100-real 103-real 120)
    endif()
    set(CMAKE_CUDA_STANDARD 17)  # CMake 3.25 has no flag for nvcc 13 and C++20
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(CRYORED_HAVE_CUDA ON)
  elseif(CRYORED_CUDA STREQUAL ON)
    message(FATAL_ERROR "CRYORED_CUDA=ON, but no nvcc was found. Put it on PATH, set CUDACXX, or use CRYORED_CUDA=AUTO.")
  endif()
endif()
message(STATUS "CUDA code: ${CRYORED_HAVE_CUDA} (CRYORED_CUDA=${CRYORED_CUDA})")
