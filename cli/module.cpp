#include "cli/module.hpp"

#include <dlfcn.h>

namespace cryored {
namespace {

bool loaded_anything = false;

}  // namespace

bool any_module_loaded() { return loaded_anything; }

void* open_module(const std::string& path, const char* entry, const std::string& what) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* reason = dlerror();
    throw SystemError(Problem{path, what, reason ? reason : "cannot be loaded",
                              "the library of this installation, and LibTorch where it was built against it",
                              "run ./dev setup and build, or install cryored again"});
  }
  loaded_anything = true;
  return dlsym(handle, entry);
}

}  // namespace cryored
