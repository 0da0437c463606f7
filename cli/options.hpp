#pragma once
// The one option parser of all programs (on Boost.Program_options).
//
// Sources, strongest first: command line, environment variable CRYORED_<OPTION>,
// config files ($CRYORED_CONFIG alone if set, else ./cryored.conf over the user's
// ~/.config/cryored/cryored.conf), built-in default. Every value keeps where it came from,
// and every value in force is checked before any work starts. See docs/options.md.

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cryored {

enum class OptionKind {
  flag,     ///< --name and --no-name on the command line; yes/no elsewhere
  text,     ///< any text
  path,     ///< a file or folder, relative to the working directory
  integer,  ///< whole number within [minimum, maximum]
  number,   ///< decimal number within [minimum, maximum]
  choice,   ///< one of `choices`
  range,    ///< two resolutions in A, coarse first: "10:4.5"
  device,   ///< auto, cpu, cuda or cuda:N
  size,     ///< bytes, or with K, M or G behind powers of 1024: "12G"
  indices,  ///< whole numbers from 0 to 127 with commas between: "0,1"
};

struct OptionSpec {
  std::string name;  ///< long name without dashes: "fsc-threshold"
  OptionKind kind = OptionKind::text;
  std::string metavar;        ///< shown in the help: "--lambda L"; empty for flags
  std::string default_value;  ///< as a user would write it; empty = unset
  std::string help;
  std::vector<std::string> choices = {};
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool persistent = true;  ///< may also come from the environment and config files
};

/// What a subcommand accepts; also the source of its --help text.
struct CommandSpec {
  std::string program;    ///< "cryored reconstruct"
  std::string arguments;  ///< "STAR"
  std::string summary;    ///< one line, for the list of commands
  std::string details;    ///< paragraphs of the help, separated by blank lines
  int minimum_arguments = 0;
  int maximum_arguments = 0;
  std::vector<OptionSpec> options;
  /// Options that the program which runs this command takes for itself: in the help text only, under this title.
  std::vector<OptionSpec> caller_options = {};
  std::string caller_title = {};
};

/// Weakest first.
enum class SourceLevel { built_in, user_file, project_file, named_file, environment, command_line };

struct Source {
  SourceLevel level = SourceLevel::built_in;
  std::string text;  ///< for messages: "environment variable CRYORED_LAMBDA", "cryored.conf:3"
};

/// Whose environment and working directory count: this process's own, or those of a caller of the daemon.
struct Surroundings {
  std::string folder;                                             ///< absolute; empty: this process's own
  std::optional<std::map<std::string, std::string>> environment;  ///< none: this process's own

  /// Value of an environment variable, empty where unset.
  std::string variable(const std::string& name) const;
  /// `path` as seen from `folder`.
  std::string resolve(const std::string& path) const;
  /// The other way round, for messages and records: without `folder` in front.
  std::string shown(const std::string& path) const;
};

/// The values in force for one run of one command.
class Settings {
 public:
  Surroundings surroundings;
  std::vector<std::string> arguments;  ///< positional
  bool help = false;                   ///< --help was given; nothing else is checked then

  /// Whether the option has a value at all, and whether it is not merely the default.
  bool has(const std::string& name) const;
  bool given(const std::string& name) const;
  const std::string& text(const std::string& name) const;
  bool flag(const std::string& name) const;
  long integer(const std::string& name) const;
  double number(const std::string& name) const;
  std::optional<double> optional_number(const std::string& name) const;
  /// Coarse and fine limit in A.
  std::pair<double, double> range(const std::string& name) const;
  std::uint64_t size(const std::string& name) const;        ///< bytes; 0 where there is no value
  std::vector<int> indices(const std::string& name) const;  ///< empty where there is no value
  const Source& source(const std::string& name) const;

  struct Value {
    std::string text;
    Source source;
  };
  std::map<std::string, Value> values;  ///< every option of the command; unset ones have empty text
};

/// A config file as read: key, value and line of each entry.
struct ConfigEntry {
  std::string key, value, file;
  int line = 0;
};
/// Reads "key = value" lines; '#' starts a comment line. Throws UsageError (exit 2) with file:line.
std::vector<ConfigEntry> read_config(const std::string& path, const Surroundings& surroundings = {});

/// The option of that name, null where there is none.
const OptionSpec* find_option(const std::vector<OptionSpec>& options, const std::string& name);

/// The config files that are in force now, weakest first; a missing $CRYORED_CONFIG throws UsageError.
std::vector<std::pair<SourceLevel, std::string>> config_files(const Surroundings& surroundings = {});

/// "fsc-threshold" -> "CRYORED_FSC_THRESHOLD".
std::string environment_name(const std::string& option);

/// Parses `words` (without the program's name) and merges the other sources. `all_persistent`
/// lists the options of every command, so that a config file may serve them all and a
/// misspelt key is still found. Throws UsageError naming the source of the bad value.
Settings parse_options(const CommandSpec& command, const std::vector<std::string>& words,
                       const std::vector<OptionSpec>& all_persistent, const Surroundings& surroundings = {});

/// The words of a shell line, quotes and backslashes taken away; nothing else that a shell does.
std::vector<std::string> shell_line_words(const std::string& line);

/// Checks one value against its spec. Throws UsageError naming `source`.
void check_value(const OptionSpec& option, const std::string& value, const Source& source);

/// The committed help text of a command (docs/help/), wrapped at 100 columns.
std::string help_text(const CommandSpec& command);

/// The candidate nearest to `word`, empty when none is near.
std::string nearest_name(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace cryored
