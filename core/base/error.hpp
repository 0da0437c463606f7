#pragma once
// Typed errors. Libraries throw them and never print or exit; each program has
// one catch in its main() that prints what() on stderr and returns exit_code().

#include <stdexcept>
#include <string>

namespace cryored {

/// What every message states: where, what was found, what is allowed, what to do.
struct Problem {
  std::string where;    ///< file (with line, byte or voxel where known), or option name
  std::string field;    ///< STAR label, header word, array ...; may be empty
  std::string found;    ///< the value found
  std::string allowed;  ///< what would have been accepted
  std::string remedy;   ///< what the user can do about it
};

/// Run-time failure; exit code 1.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
  explicit Error(const Problem& problem);
  virtual int exit_code() const { return 1; }
};

/// A file or a value in it is not what it must be; exit code 1.
class InputError : public Error {
 public:
  using Error::Error;
};

/// The system refused: disk full, permission, no GPU; exit code 1.
class SystemError : public Error {
 public:
  using Error::Error;
};

/// A GPU has too little free memory, now; exit code 1.
class DeviceMemoryError : public SystemError {
 public:
  using SystemError::SystemError;
};

/// The program was called wrongly; exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
  int exit_code() const override { return 2; }
};

}  // namespace cryored
