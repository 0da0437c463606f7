# cmake -DSOURCE=<repository> -DOUTPUT=<file.cpp> -P git_commit.cmake
# Writes the commit of the tree; the file is touched only when the commit has changed.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
set(text "namespace cryored {\nextern const char* const git_commit;\nconst char* const git_commit = \"${commit}\";\n}  // namespace cryored\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL text)
  file(WRITE "${OUTPUT}" "${text}")
endif()
