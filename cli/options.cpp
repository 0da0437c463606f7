#include "cli/options.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cctype>
#include <cstdlib>

#include "core/base/error.hpp"

namespace cryored {
namespace {

namespace po = boost::program_options;

std::string join(const std::vector<std::string>& words, const std::string& separator) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : separator) + word;
  return all;
}

std::vector<std::string> names_of(const std::vector<OptionSpec>& options) {
  std::vector<std::string> names;
  for (const auto& option : options) {
    names.push_back(option.name);
    if (option.kind == OptionKind::flag) names.push_back("no-" + option.name);
  }
  names.push_back("help");
  return names;
}

[[noreturn]] void fail_unknown(const CommandSpec& command, const std::string& word) {
  std::string name = word.substr(0, word.find('='));
  name.erase(0, name.find_first_not_of('-'));
  const std::string near = nearest_name(name, names_of(command.options));
  throw UsageError(
      Problem{command.program, "unknown option", word, "the options of its --help",
              (near.empty() ? "see " : "did you mean --" + near + "? See ") + command.program + " --help"});
}

// "--plot --json": the value was forgotten. The word of another program's option may be a value, and so may several
// words in quotes.
void refuse_option_as_value(const CommandSpec& command, const std::string& name, const std::string& value) {
  if (value.rfind("--", 0) != 0 || value.find_first_of(" \t") != std::string::npos) return;
  const std::vector<std::string> names = names_of(command.options);
  if (value != "--" && std::find(names.begin(), names.end(), value.substr(2, value.find('=') - 2)) == names.end())
    return;
  const OptionSpec& option = *find_option(command.options, name);
  throw UsageError(
      Problem{command.program, "--" + name, "the option " + value + " where its value should stand", option.metavar,
              "--" + name + " needs a value; one that begins so is given as --" + name + "='" + value + "'"});
}

// What stands on the command line, by option name; positional words go to `settings`.
std::map<std::string, std::string> parse_words(const CommandSpec& command, const std::vector<std::string>& words,
                                               Settings& settings) {
  po::options_description description;
  auto add = description.add_options();
  for (const auto& option : command.options) {
    if (option.kind == OptionKind::flag) {
      add(option.name.c_str(), po::value<std::string>()->zero_tokens(), "");
      add(("no-" + option.name).c_str(), po::value<std::string>()->zero_tokens(), "");
    } else {
      add(option.name.c_str(), po::value<std::string>(), "");
    }
  }
  using namespace po::command_line_style;
  std::map<std::string, std::string> values;
  try {
    const auto parsed = po::command_line_parser(words)
                            .options(description)
                            .style(allow_long | long_allow_next | long_allow_adjacent)
                            .run();
    for (const auto& item : parsed.options) {
      if (item.position_key >= 0 || item.string_key.empty()) {
        for (const auto& word : item.value) settings.arguments.push_back(word);
        continue;
      }
      std::string name = item.string_key;
      if (item.original_tokens.size() > 1) refuse_option_as_value(command, name, item.original_tokens.back());
      std::string value = item.value.empty() ? "yes" : item.value.front();
      if (!find_option(command.options, name) && name.rfind("no-", 0) == 0) {
        name.erase(0, 3);
        value = "no";
      }
      if (!values.emplace(name, value).second)
        throw UsageError(Problem{command.program, "--" + name, "the option more than once", "once",
                                 "leave one of them; the words of RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE count too"});
    }
  } catch (const po::unknown_option& error) {
    fail_unknown(command, error.get_option_name());
  } catch (const po::error& error) {
    throw UsageError(Problem{command.program, "", error.what(), "", "see " + command.program + " --help"});
  }
  return values;
}

// Short options do not exist here, so "-x" would pass for a file name and fail far away.
void check_dashes(const CommandSpec& command, const std::vector<std::string>& words) {
  for (const auto& word : words) {
    if (word == "--") return;
    if (word.size() > 1 && word[0] == '-' && word[1] != '-' && !std::isdigit(static_cast<unsigned char>(word[1])) &&
        word[1] != '.')
      fail_unknown(command, word);
  }
}

void check_arguments(const CommandSpec& command, const Settings& settings) {
  const int count = static_cast<int>(settings.arguments.size());
  if (count >= command.minimum_arguments && count <= command.maximum_arguments) return;
  const std::string usage = command.program + (command.arguments.empty() ? "" : " " + command.arguments);
  throw UsageError(Problem{command.program, "arguments",
                           count == 0 ? "none" : std::to_string(count) + " (" + join(settings.arguments, ", ") + ")",
                           command.arguments.empty() ? "none" : command.arguments,
                           "call it as: " + usage + " [options]; a path with spaces must be quoted"});
}

/// A command whose own options all come from the command line reads no file: what stands there is not for it.
void overlay_config(const CommandSpec& command, const std::vector<OptionSpec>& all, Settings& settings) {
  if (std::none_of(command.options.begin(), command.options.end(), [](const auto& own) { return own.persistent; }))
    return;
  for (const auto& [level, path] : config_files(settings.surroundings)) {
    for (const auto& entry : read_config(path, settings.surroundings)) {
      const Source source{level, entry.file + ":" + std::to_string(entry.line)};
      const OptionSpec* option = find_option(all, entry.key);
      if (!option) {
        const std::string near = nearest_name(entry.key, names_of(all));
        throw UsageError(Problem{source.text, "unknown key", entry.key, "the options that cryored config lists",
                                 near.empty() ? "remove the line" : "did you mean " + near + "?"});
      }
      // Of the same name here, but perhaps for the command line only, or with other bounds.
      const OptionSpec* own = find_option(command.options, entry.key);
      check_value(own && own->persistent ? *own : *option, entry.value, source);
      if (own && own->persistent) settings.values[entry.key] = {entry.value, source};
    }
  }
}

}  // namespace

std::vector<std::string> shell_line_words(const std::string& line) { return po::split_unix(line, " \t", "'\"", "\\"); }

Settings parse_options(const CommandSpec& command, const std::vector<std::string>& words,
                       const std::vector<OptionSpec>& all_persistent, const Surroundings& surroundings) {
  Settings settings;
  settings.surroundings = surroundings;
  for (const auto& word : words) {
    if (word == "--") break;
    if (word == "--help" || word == "-h") {
      settings.help = true;
      return settings;
    }
  }
  check_dashes(command, words);
  const auto on_line = parse_words(command, words, settings);
  for (const auto& option : command.options)
    settings.values[option.name] = {option.default_value, {SourceLevel::built_in, "default"}};
  overlay_config(command, all_persistent, settings);
  for (const auto& option : command.options) {
    if (!option.persistent) continue;
    const std::string variable = environment_name(option.name);
    const std::string value = surroundings.variable(variable);
    if (value.empty()) continue;  // as for most programs, an empty variable counts as unset
    const Source source{SourceLevel::environment, "environment variable " + variable};
    check_value(option, value, source);
    settings.values[option.name] = {value, source};
  }
  for (const auto& [name, value] : on_line) {
    const Source source{SourceLevel::command_line, "command line"};
    check_value(*find_option(command.options, name), value, source);
    settings.values[name] = {value, source};
  }
  check_arguments(command, settings);
  return settings;
}

}  // namespace cryored
