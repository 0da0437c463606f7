// The --help texts and the hints for misspelt names.

#include <algorithm>
#include <cctype>
#include <numeric>
#include <sstream>

#include "cli/options.hpp"

namespace cryored {
namespace {

constexpr std::size_t columns = 100;

void wrap(std::ostream& out, const std::string& text, std::size_t indent, std::size_t at) {
  std::istringstream words(text);
  std::string word;
  bool first = true;
  while (words >> word) {
    if (!first && at + 1 + word.size() > columns) {
      out << '\n' << std::string(indent, ' ');
      at = indent;
      first = true;
    }
    if (!first) {
      out << ' ';
      ++at;
    }
    out << word;
    at += word.size();
    first = false;
  }
  out << '\n';
}

std::string left_column(const OptionSpec& option) {
  if (option.kind == OptionKind::flag) return (option.name.rfind("no-", 0) == 0 ? "  --" : "  --[no-]") + option.name;
  return "  --" + option.name + " " + option.metavar;
}

constexpr std::size_t indent = 28;

void put_option(std::ostream& out, const OptionSpec& option) {
  const std::string left = left_column(option);
  out << left;
  if (left.size() + 2 > indent)
    out << '\n' << std::string(indent, ' ');
  else
    out << std::string(indent - left.size(), ' ');
  std::string help = option.help;
  if (!option.default_value.empty() && option.kind != OptionKind::flag)
    help += " (default: " + option.default_value + ")";
  wrap(out, help, indent, indent);
}

}  // namespace

std::string help_text(const CommandSpec& command) {
  std::ostringstream out;
  out << "Usage: " << command.program;
  if (!command.arguments.empty()) out << ' ' << command.arguments;
  out << " [options]\n\n";
  std::string summary = command.summary;
  if (!summary.empty()) summary[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(summary[0])));
  std::istringstream details(summary + ".\n\n" + command.details);
  std::string line, paragraph;
  const auto flush = [&] {
    if (!paragraph.empty()) {
      wrap(out, paragraph, 0, 0);
      out << '\n';
    }
    paragraph.clear();
  };
  while (std::getline(details, line)) {
    if (line.rfind("  ", 0) == 0) {  // an example line stays as it is
      if (!paragraph.empty()) {
        wrap(out, paragraph, 0, 0);
        paragraph.clear();
      }
      out << line << '\n';
    } else if (line.empty()) {
      if (paragraph.empty())
        out << '\n';
      else
        flush();
    } else {
      paragraph += line + ' ';
    }
  }
  flush();
  out << "Options:\n";
  for (const auto& option : command.options) put_option(out, option);
  const std::string help_left = "  --help";
  out << help_left << std::string(indent - help_left.size(), ' ') << "print this text\n";
  if (!command.caller_options.empty()) {
    out << '\n';
    wrap(out, command.caller_title, 0, 0);
    for (const auto& option : command.caller_options) put_option(out, option);
  }
  return out.str();
}

std::string nearest_name(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    // Levenshtein distance, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t substituted = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace cryored
