#include "cli/run_program.hpp"

#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>

#include "core/base/error.hpp"

namespace cryored {
namespace {

/// A folder that is not ours is no fault of the program, though std::filesystem threw it where nobody looked.
SystemError file_system_error(const std::filesystem::filesystem_error& error) {
  const std::string first = error.path1().string(), second = error.path2().string();
  const std::string path = first.empty() ? "the working directory" : first + (second.empty() ? "" : " to " + second);
  const std::error_code code = error.code();
  return SystemError(Problem{
      path, "", code.message(), "",
      code == std::errc::permission_denied || code == std::errc::operation_not_permitted ||
              code == std::errc::read_only_file_system
          ? "make it and the folder that holds it readable and writable for this user, or give another path"
      : code == std::errc::no_space_on_device ? "free space on that file system (df -h), then run again"
                                              : "correct the path, or see what lies there and on which file system"});
}

}  // namespace

int run_program(const std::string& program, const std::function<int()>& work) {
  const auto fail = [&program](const std::string& message, int code) {
    std::cout.flush();
    std::cerr << program << ": error: " << message << std::endl;
    return code;
  };
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit becomes an error of write(), not our end
  try {
    const int code = work();
    std::cout.flush();
    if (!std::cout) return fail("standard output: cannot be written. Remedy: see whether its disk is full", 1);
    return code;
  } catch (const Error& error) {
    return fail(error.what(), error.exit_code());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(file_system_error(error).what(), 1);
  } catch (const std::bad_alloc&) {
    return fail("out of memory. Remedy: free memory on this machine, or do less at once", 1);
  } catch (const std::exception& error) {
    return fail(std::string("internal fault: ") + error.what() + ". Remedy: please report this message", 1);
  }
}

int run_tool(const CommandSpec& spec, int argc, char** argv, const std::function<int(const Settings&)>& work) {
  return run_program(spec.program, [&] {
    const Settings settings = parse_options(spec, {argv + 1, argv + argc}, {});
    if (settings.help) {
      std::cout << help_text(spec);
      return 0;
    }
    return work(settings);
  });
}

OptionSpec tool_option(const std::string& name, OptionKind kind, const std::string& metavar, const std::string& value,
                       const std::string& help) {
  OptionSpec o{name, kind, metavar, value, help};
  o.persistent = false;
  return o;
}

OptionSpec tool_option(const std::string& name, OptionKind kind, const std::string& metavar, const std::string& value,
                       double low, double high, const std::string& help) {
  OptionSpec o = tool_option(name, kind, metavar, value, help);
  o.minimum = low;
  o.maximum = high;
  return o;
}

}  // namespace cryored
