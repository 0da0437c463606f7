#pragma once
// What a system call on a file said, for people.

#include <string>

namespace cryored {

/// The folder that holds `path`: "." for a bare name.
std::string folder_of(const std::string& path);

/// Throws SystemError: `path`, `doing` ("cannot write the result"), the text of `error` (an errno), and what the user
/// can do about it.
[[noreturn]] void fail_file(const std::string& path, const std::string& doing, int error);

}  // namespace cryored
