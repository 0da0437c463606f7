// cryored version.

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/installation.hpp"

namespace cryored {
namespace {

int run(const Settings& settings) {
  const BuildInfo info = build_info();
  if (settings.flag("json")) {
    const nlohmann::ordered_json out{{"version", info.version},
                                     {"commit", info.commit},
                                     {"compiler", info.compiler},
                                     {"build_type", info.build_type},
                                     {"program", own_path()}};
    std::cout << out.dump(2) << "\n";
  } else {
    std::cout << "cryored " << info.version << " (commit " << info.commit << ", " << info.compiler << ", "
              << info.build_type << ")\n";
  }
  return 0;
}

}  // namespace

Command version_command() {
  CommandSpec spec;
  spec.program = "cryored version";
  spec.summary = "print version and commit";
  spec.details = "cryored doctor prints the versions of LibTorch, RELION and the GPU driver too.";
  spec.options = {json_option("print JSON")};
  return {"version", spec, run};
}

}  // namespace cryored
