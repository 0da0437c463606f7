#include "plugin/settings.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <map>

#include "cli/options.hpp"
#include "cli/plugin_options.hpp"
#include "core/base/error.hpp"

namespace cryored::plugin {
namespace {

using Values = std::map<std::string, std::string>;

/// Takes our own options out of the words. A value stands in the same word behind '=', or in the next.
Values take_words(const std::vector<OptionSpec>& options, const std::vector<std::string>& words,
                  std::vector<std::string>& rest) {
  Values values;
  const auto put = [&](const OptionSpec& option, const std::string& value) {
    check_value(option, value, {SourceLevel::command_line, "command line"});
    if (!values.emplace(option.name, value).second)
      throw UsageError(Problem{"cryored-reconstruct", "--" + option.name, "the option more than once", "once",
                               "leave one of them; the words of RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE count too"});
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      rest.insert(rest.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    const auto equals = word.find('=');
    const std::string name = word.rfind("--", 0) == 0 ? word.substr(2, equals == word.npos ? equals : equals - 2) : "";
    const OptionSpec* option = find_option(options, name);
    const OptionSpec* negated = name.rfind("no-", 0) == 0 ? find_option(options, name.substr(3)) : nullptr;
    if (option && option->kind == OptionKind::flag && equals == word.npos) {
      put(*option, "yes");
    } else if (!option && negated && negated->kind == OptionKind::flag && equals == word.npos) {
      put(*negated, "no");
    } else if (option && option->kind != OptionKind::flag) {
      // None of our values begins with dashes: such a word is the next option.
      if (equals == word.npos && (i + 1 == words.size() || words[i + 1].rfind("--", 0) == 0))
        throw UsageError(Problem{"cryored-reconstruct", "--" + name, "no value", option->metavar + " after it",
                                 "see cryored-reconstruct --help"});
      put(*option, equals == word.npos ? words[++i] : word.substr(equals + 1));
    } else {
      rest.push_back(word);
    }
  }
  return values;
}

bool is_regular_or_missing(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
}

bool is_yes(const std::string& text) { return text == "yes" || text == "true" || text == "on" || text == "1"; }

}  // namespace

Settings read_settings(const std::vector<std::string>& words) {
  Settings settings;
  for (const auto& word : words) {
    if (word == "--") break;
    settings.only_helper |= word == "--help" || word == "-h";
  }
  settings.only_helper |= words.size() == 1 && words[0] == "--version";
  if (settings.only_helper) {
    settings.words = words;
    return settings;
  }
  const auto options = plugin_options();
  Values values;
  for (const auto& option : options) values[option.name] = option.default_value;
  for (const auto& [level, path] : config_files()) {
    if (!is_regular_or_missing(path)) {
      settings.only_helper = true;
      continue;
    }
    for (const auto& entry : read_config(path)) {
      const OptionSpec* option = find_option(options, entry.key);
      if (!option) continue;
      check_value(*option, entry.value, {level, entry.file + ":" + std::to_string(entry.line)});
      values[entry.key] = entry.value;
    }
  }
  for (const auto& option : options) {
    const std::string variable = environment_name(option.name);
    const char* value = std::getenv(variable.c_str());
    if (!value || !*value) continue;
    check_value(option, value, {SourceLevel::environment, "environment variable " + variable});
    values[option.name] = value;
  }
  for (const auto& [name, value] : take_words(options, words, settings.words)) values[name] = value;
  settings.no_daemon = is_yes(values.at("no-daemon"));
  settings.via_files = is_yes(values.at("via-files"));
  settings.daemon_name = values.at("daemon-name");
  // check_value has seen to it that these are numbers; both read the point, whatever the locale of this program.
  settings.connect_timeout = std::strtod(values.at("connect-timeout").c_str(), nullptr);
  settings.heartbeat_timeout = std::strtod(values.at("heartbeat-timeout").c_str(), nullptr);
  settings.via_files_timeout = std::strtod(values.at("via-files-timeout").c_str(), nullptr);
  if (settings.no_daemon && settings.via_files)
    throw UsageError(Problem{"cryored-reconstruct", "--no-daemon and --via-files", "both", "one of them",
                             "leave one out; variables and config files count too (cryored config)"});
  return settings;
}

}  // namespace cryored::plugin
