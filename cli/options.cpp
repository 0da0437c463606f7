#include "cli/options.hpp"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>

#include "core/base/error.hpp"

namespace cryored {
namespace {

namespace po = boost::program_options;

// Locale-independent, and nothing may follow the number.
bool parse_number(const std::string& text, double& value) {
  const char* begin = text.data();
  const char* end = begin + text.size();
  if (begin != end && *begin == '+') ++begin;
  const auto [stop, error] = std::from_chars(begin, end, value);
  return error == std::errc() && stop == end && std::isfinite(value);
}

bool parse_integer(const std::string& text, long& value) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && stop == text.data() + text.size();
}

bool parse_flag(const std::string& text, bool& value) {
  static const std::set<std::string> yes{"yes", "true", "on", "1"}, no{"no", "false", "off", "0"};
  value = yes.count(text) > 0;
  return value || no.count(text) > 0;
}

bool parse_range(const std::string& text, std::pair<double, double>& value) {
  const auto colon = text.find(':');
  return colon != std::string::npos && parse_number(text.substr(0, colon), value.first) &&
         parse_number(text.substr(colon + 1), value.second) && value.first > value.second && value.second > 0;
}

bool valid_device(const std::string& text) {
  if (text == "auto" || text == "cpu" || text == "cuda") return true;
  long index = -1;
  return text.rfind("cuda:", 0) == 0 && parse_integer(text.substr(5), index) && index >= 0 && index < 128;
}

std::string join(const std::vector<std::string>& words, const std::string& separator) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : separator) + word;
  return all;
}

std::string format_bound(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : "?";
}

std::string allowed_values(const OptionSpec& option) {
  const bool low = std::isfinite(option.minimum), high = std::isfinite(option.maximum);
  std::string bounds;
  if (low && high)
    bounds = " from " + format_bound(option.minimum) + " to " + format_bound(option.maximum);
  else if (low)
    bounds = " of at least " + format_bound(option.minimum);
  switch (option.kind) {
    case OptionKind::flag:
      return "yes or no";
    case OptionKind::integer:
      return "a whole number" + bounds;
    case OptionKind::number:
      return "a number" + bounds;
    case OptionKind::choice:
      return join(option.choices, ", ");
    case OptionKind::range:
      return "two resolutions in A, the coarse one first, as 10:4.5";
    case OptionKind::device:
      return "auto, cpu, cuda or cuda:N";
    case OptionKind::text:
    case OptionKind::path:
      return "text that is not empty";
  }
  return "";
}

const OptionSpec* find_option(const std::vector<OptionSpec>& options, const std::string& name) {
  for (const auto& option : options)
    if (option.name == name) return &option;
  return nullptr;
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

void overlay_config(const std::vector<OptionSpec>& all, Settings& settings) {
  for (const auto& [level, path] : config_files()) {
    for (const auto& entry : read_config(path)) {
      const Source source{level, entry.file + ":" + std::to_string(entry.line)};
      const OptionSpec* option = find_option(all, entry.key);
      if (!option) {
        const std::string near = nearest_name(entry.key, names_of(all));
        throw UsageError(Problem{source.text, "unknown key", entry.key, "the options that cryored config lists",
                                 near.empty() ? "remove the line" : "did you mean " + near + "?"});
      }
      check_value(*option, entry.value, source);
      const auto found = settings.values.find(entry.key);
      if (found != settings.values.end()) found->second = {entry.value, source};
    }
  }
}

}  // namespace

std::string environment_name(const std::string& option) {
  std::string name = "CRYORED_" + option;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

void check_value(const OptionSpec& option, const std::string& value, const Source& source) {
  double number = 0;
  long integer = 0;
  bool flag = false;
  std::pair<double, double> range;
  bool good = false;
  switch (option.kind) {
    case OptionKind::flag:
      good = parse_flag(value, flag);
      break;
    case OptionKind::number:
      good = parse_number(value, number) && number >= option.minimum && number <= option.maximum;
      break;
    case OptionKind::integer:
      good = parse_integer(value, integer) && static_cast<double>(integer) >= option.minimum &&
             static_cast<double>(integer) <= option.maximum;
      break;
    case OptionKind::choice:
      good = std::find(option.choices.begin(), option.choices.end(), value) != option.choices.end();
      break;
    case OptionKind::range:
      good = parse_range(value, range);
      break;
    case OptionKind::device:
      good = valid_device(value);
      break;
    case OptionKind::text:
    case OptionKind::path:
      good = !value.empty();
      break;
  }
  if (!good)
    throw UsageError(Problem{source.text, source.level == SourceLevel::command_line ? "--" + option.name : option.name,
                             value.empty() ? "nothing" : value, allowed_values(option), "correct the value there"});
}

Settings parse_options(const CommandSpec& command, const std::vector<std::string>& words,
                       const std::vector<OptionSpec>& all_persistent) {
  Settings settings;
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
  overlay_config(all_persistent, settings);
  for (const auto& option : command.options) {
    if (!option.persistent) continue;
    const std::string variable = environment_name(option.name);
    const char* value = std::getenv(variable.c_str());
    if (!value || !*value) continue;  // as for most programs, an empty variable counts as unset
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

bool Settings::has(const std::string& name) const { return !text(name).empty(); }
bool Settings::given(const std::string& name) const { return source(name).level != SourceLevel::built_in; }

const std::string& Settings::text(const std::string& name) const {
  const auto found = values.find(name);
  if (found == values.end()) throw std::logic_error("option " + name + " is not declared by this command");
  return found->second.text;
}

const Source& Settings::source(const std::string& name) const {
  text(name);
  return values.at(name).source;
}

bool Settings::flag(const std::string& name) const {
  bool value = false;
  parse_flag(text(name), value);
  return value;
}

long Settings::integer(const std::string& name) const {
  long value = 0;
  if (!parse_integer(text(name), value)) throw std::logic_error("option " + name + " has no whole number");
  return value;
}

double Settings::number(const std::string& name) const {
  double value = 0;
  if (!parse_number(text(name), value)) throw std::logic_error("option " + name + " has no number");
  return value;
}

std::optional<double> Settings::optional_number(const std::string& name) const {
  if (!has(name)) return std::nullopt;
  return number(name);
}

std::pair<double, double> Settings::range(const std::string& name) const {
  std::pair<double, double> value;
  if (!parse_range(text(name), value)) throw std::logic_error("option " + name + " has no range");
  return value;
}

}  // namespace cryored
