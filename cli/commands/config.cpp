// cryored config: which options are in force here, and where each value comes from.

#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/common_options.hpp"
#include "cli/plugin_words.hpp"
#include "cli/unknown_variables.hpp"
#include "core/base/json_text.hpp"

namespace cryored {
namespace {

int run(const Settings& settings) {
  const auto options = persistent_options();
  const auto files = config_files();
  const auto unknown = unknown_variables(settings.surroundings);
  if (settings.flag("json")) {
    nlohmann::ordered_json out;
    for (const auto& option : options) {
      const auto& value = settings.text(option.name);
      out["options"][option.name] = {
          {"value", value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value)},
          {"source", settings.source(option.name).text}};
    }
    out["config_files"] = nlohmann::ordered_json::array();
    for (const auto& [level, path] : files) out["config_files"].push_back(path);
    out["unknown_variables"] = unknown;
    std::cout << json_text(out, 2) << std::endl;
    check_plugin_values(settings);
    return 0;
  }
  for (const auto& option : options) {
    const auto& value = settings.text(option.name);
    const std::string shown = value.empty() ? "(not set)" : value;
    std::cout << option.name << std::string(option.name.size() < 20 ? 20 - option.name.size() : 1, ' ') << shown
              << std::string(shown.size() < 24 ? 24 - shown.size() : 1, ' ') << settings.source(option.name).text
              << "\n";
  }
  std::cout << "\nConfig files read:";
  if (files.empty()) std::cout << " none";
  for (const auto& [level, path] : files) std::cout << " " << path;
  std::cout << "\nStrongest first: command line, CRYORED_<OPTION> variables, ./cryored.conf, the user's cryored.conf, "
               "defaults.\n";
  for (const auto& name : unknown) std::cout << "Note: the variable " << name << " is no option of cryored.\n";
  std::cout.flush();
  check_plugin_values(settings);  // after the table, which shows where a wrong one comes from
  return 0;
}

}  // namespace

Command config_command() {
  CommandSpec spec;
  spec.program = "cryored config";
  spec.summary = "print the options in force and where each comes from";
  spec.details =
      "Takes the options of the other commands, so that the words meant for RELION's variable can be tried out:\n\n"
      "  cryored config --lambda 0.5\n\n"
      "Strongest first: command line (the words in RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE are part of it), environment "
      "variables CRYORED_<OPTION> (CRYORED_FSC_THRESHOLD for --fsc-threshold), config files, defaults. Config files "
      "hold lines of the form fsc-threshold = 0.143. Where CRYORED_CONFIG names a file, it is the only one; else "
      "cryored.conf of the working directory is read over cryored/cryored.conf of XDG_CONFIG_HOME (~/.config).";
  spec.options = persistent_options();
  spec.options.push_back(json_option("print JSON"));
  return {"config", spec, run};
}

}  // namespace cryored
