#include "cli/unknown_variables.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "cli/command.hpp"

extern char** environ;

namespace cryored {

std::vector<std::string> unknown_variables(const Surroundings& around) {
  std::vector<std::string> names;
  if (around.environment)
    for (const auto& [name, value] : *around.environment) names.push_back(name);
  else
    for (char** entry = environ; *entry; ++entry) names.emplace_back(*entry, std::strcspn(*entry, "="));
  std::vector<std::string> known{"CRYORED_CONFIG", "CRYORED_CUDA_LIBRARY", "CRYORED_LOCAL_RANKS", "CRYORED_RUNTIME_DIR",
                                 "CRYORED_SIMD",   "CRYORED_START_REPORT", "CRYORED_TORCH_ROOT",  "CRYORED_WHEELS"};
  for (const auto& option : persistent_options()) known.push_back(environment_name(option.name));
  std::erase_if(names, [&](const std::string& name) {
    return name.rfind("CRYORED_", 0) != 0 || std::find(known.begin(), known.end(), name) != known.end();
  });
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace cryored
