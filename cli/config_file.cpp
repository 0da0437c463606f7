// Config files: where they are looked for and how they are read.

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/options.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

std::string trim(const std::string& text) {
  const char* blanks = " \t\r";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

std::vector<ConfigEntry> read_config(const std::string& path, const Surroundings& surroundings) {
  const std::string place = surroundings.resolve(path);
  std::ifstream file(place);
  if (!file || std::filesystem::is_directory(place))
    throw UsageError(Problem{path, "config file", file ? "a folder" : std::strerror(errno), "a readable text file",
                             "create it, correct its permissions or unset CRYORED_CONFIG"});
  std::vector<ConfigEntry> entries;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (number == 1 && line.rfind("\xEF\xBB\xBF", 0) == 0) line.erase(0, 3);  // as some editors begin UTF-8
    const std::string text = trim(line);
    if (text.empty() || text[0] == '#') continue;
    const auto equals = text.find('=');
    const std::string where = path + ":" + std::to_string(number);
    if (equals == std::string::npos || trim(text.substr(0, equals)).empty())
      throw UsageError(Problem{where, "", text.size() > 80 ? text.substr(0, 80) + "..." : text,
                               "lines of the form key = value, and comment lines that start with #",
                               "correct or remove the line"});
    ConfigEntry entry{trim(text.substr(0, equals)), trim(text.substr(equals + 1)), path, number};
    for (const auto& earlier : entries)
      if (earlier.key == entry.key)
        throw UsageError(Problem{where, entry.key, "the key again, first at line " + std::to_string(earlier.line),
                                 "each key once", "remove one of the lines"});
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<std::pair<SourceLevel, std::string>> config_files(const Surroundings& surroundings) {
  const auto variable = [&](const char* name) { return surroundings.variable(name); };
  const std::string named = variable("CRYORED_CONFIG");
  if (!named.empty()) return {{SourceLevel::named_file, named}};
  std::vector<std::pair<SourceLevel, std::string>> files;
  std::string folder = variable("XDG_CONFIG_HOME");
  if (folder.empty() && !variable("HOME").empty()) folder = variable("HOME") + "/.config";
  const std::string user = folder + "/cryored/cryored.conf";
  if (!folder.empty() && exists(surroundings.resolve(user))) files.emplace_back(SourceLevel::user_file, user);
  if (exists(surroundings.resolve("cryored.conf"))) files.emplace_back(SourceLevel::project_file, "cryored.conf");
  return files;
}

}  // namespace cryored
