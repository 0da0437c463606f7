# One interface target with the warnings that all our code is held to.
add_library(cryored_warnings INTERFACE)
target_compile_options(cryored_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast>
  # GCC 12 reports std::string concatenation wrongly (its bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<AND:$<BOOL:${CRYORED_WERROR}>,$<COMPILE_LANGUAGE:CXX>>:-Werror>)

# cryored_layer(NAME SOURCES... ): a static library of one layer; includes are
# written from the repository root ("core/formats/mrc.hpp").
function(cryored_layer name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC "${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE cryored_warnings)
endfunction()
