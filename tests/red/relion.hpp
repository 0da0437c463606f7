#pragma once
// Running RELION's programs in tests, in a folder of the test's own.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/temporary_folder.hpp"

namespace cryored {

inline bool have_program(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

/// Exit status of a shell command; its output is kept quiet.
inline int run_program(const std::string& command) { return std::system((command + " >/dev/null 2>&1").c_str()); }

#define REQUIRE_PROGRAM(name) \
  if (!have_program(name)) GTEST_SKIP() << name << " is not installed (Debian package relion)"

}  // namespace cryored
