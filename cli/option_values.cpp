// Values of options: what is allowed, how they are read. Light enough for the thin plugin.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>
#include <stdexcept>

#include "cli/options.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

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

/// "12G", "512M", bytes without a letter; powers of 1024.
bool parse_size(const std::string& text, std::uint64_t& value) {
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(stop, text.data() + text.size());
  const double scale = unit.empty()  ? 1
                       : unit == "K" ? 1024.0
                       : unit == "M" ? 1048576.0
                       : unit == "G" ? 1073741824.0
                                     : 0;
  if (error != std::errc() || !(number * scale >= 1 && number * scale <= 1e18)) return false;
  value = static_cast<std::uint64_t>(number * scale);
  return true;
}

bool parse_indices(const std::string& text, std::vector<int>& value) {
  value.clear();
  for (std::size_t at = 0;;) {
    const std::size_t comma = text.find(',', at);
    long index = -1;
    if (!parse_integer(text.substr(at, comma - at), index) || index < 0 || index > 127) return false;
    value.push_back(static_cast<int>(index));
    if (comma == std::string::npos) return true;
    at = comma + 1;
  }
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
    case OptionKind::size:
      return "a size as 800M or 12G";
    case OptionKind::indices:
      return "numbers with commas between, as 0,1";
    case OptionKind::text:
    case OptionKind::path:
      return "text that is not empty";
  }
  return "";
}

}  // namespace

const OptionSpec* find_option(const std::vector<OptionSpec>& options, const std::string& name) {
  for (const auto& option : options)
    if (option.name == name) return &option;
  return nullptr;
}

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
  std::uint64_t size = 0;
  std::vector<int> indices;
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
    case OptionKind::size:
      good = parse_size(value, size);
      break;
    case OptionKind::indices:
      good = parse_indices(value, indices);
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

std::string Surroundings::variable(const std::string& name) const {
  if (environment) {
    const auto found = environment->find(name);
    return found == environment->end() ? "" : found->second;
  }
  const char* value = std::getenv(name.c_str());
  return value ? value : "";
}

std::string Surroundings::resolve(const std::string& path) const {
  if (folder.empty() || path.empty() || path[0] == '/') return path;
  return folder + (folder.back() == '/' ? "" : "/") + path;
}

std::string Surroundings::shown(const std::string& path) const {
  if (folder.empty()) return path;
  const std::string root = folder + (folder.back() == '/' ? "" : "/");
  return path.size() > root.size() && path.compare(0, root.size(), root) == 0 ? path.substr(root.size()) : path;
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

std::uint64_t Settings::size(const std::string& name) const {
  std::uint64_t value = 0;
  if (has(name) && !parse_size(text(name), value)) throw std::logic_error("option " + name + " has no size");
  return value;
}

std::vector<int> Settings::indices(const std::string& name) const {
  std::vector<int> value;
  if (has(name) && !parse_indices(text(name), value)) throw std::logic_error("option " + name + " has no indices");
  return value;
}

}  // namespace cryored
