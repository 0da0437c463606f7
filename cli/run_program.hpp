#pragma once
// What the main() of every program does: one catch, one form of message, the exit code.

#include <functional>
#include <string>
#include <vector>

#include "cli/options.hpp"

namespace cryored {

/// Runs `work` and returns the exit code. An Error's message is printed on stderr as
/// "<program>: error: ..."; output that cannot be written is an error too.
int run_program(const std::string& program, const std::function<int()>& work);

/// Parses the words of main() for a program with one command; prints its help and returns
/// 0 when asked to, else runs `work`. Errors as run_program().
int run_tool(const CommandSpec& spec, int argc, char** argv, const std::function<int(const Settings&)>& work);

/// Options of tools: command line only (not in config files or the environment).
OptionSpec tool_option(const std::string& name, OptionKind kind, const std::string& metavar, const std::string& value,
                       const std::string& help);
OptionSpec tool_option(const std::string& name, OptionKind kind, const std::string& metavar, const std::string& value,
                       double low, double high, const std::string& help);

}  // namespace cryored
