#pragma once
// SHA-256 of files and byte strings, as 64 lower-case hexadecimal digits.

#include <cstddef>
#include <string>

namespace cryored {

std::string sha256_bytes(const void* bytes, std::size_t count);

/// Reads the file in pieces, so any size will do. Throws InputError when the file is
/// missing or unreadable, SystemError when reading fails midway.
std::string sha256_file(const std::string& path);

}  // namespace cryored
