#pragma once
// Parts of the program that are loaded when they are needed, because LibTorch is behind them.

#include <string>

#include "cli/installation.hpp"
#include "core/base/error.hpp"

namespace cryored {

/// dlopen() of a library, which stays loaded, and dlsym(): null where it lacks the function. Throws SystemError; `what`
/// is for messages.
void* open_module(const std::string& path, const char* entry, const std::string& what);

/// Whether any module has been loaded: then the process ends without LibTorch's slow tear-down.
bool any_module_loaded();

/// The Api that the library's function `entry` returns. Throws SystemError when it cannot be loaded or its layout or
/// version is not this program's.
template <class Api>
const Api& load_module(const std::string& path, const char* entry, const std::string& what) {
  const auto function = reinterpret_cast<const Api* (*)()>(open_module(path, entry, what));
  const Api* api = function ? function() : nullptr;
  const std::string expected = build_info().version;
  if (!api || api->layout != Api::current_layout || expected != api->version)
    throw SystemError(Problem{path, what, "one of another version", "version " + expected,
                              "build or install cryored again, all parts together"});
  return *api;
}

}  // namespace cryored
