#pragma once
// An image stack that several processes write, in any order, and that a later run may go on with.

#include <cstddef>
#include <string>

#include "core/formats/mrc.hpp"

namespace cryored {

/// The unfinished float32 stack `path`: a file beside the final one, with the header's place left free and its full
/// size taken from the start, so that a disk that is too small is known at once. Images never written are zero.
class SharedStack {
 public:
  /// Name of the unfinished file: ".<name>.part" in the folder of `path`.
  static std::string unfinished_name(const std::string& path);

  /// Makes the unfinished file anew, all zero. Throws SystemError (disk full, folder not writable ...).
  static void create(const std::string& path, std::size_t box, std::size_t count);
  static bool exists(const std::string& path, std::size_t box, std::size_t count);

  /// Opens it for writing. Throws SystemError when it is missing or has another size.
  SharedStack(const std::string& path, std::size_t box, std::size_t count);
  ~SharedStack();
  SharedStack(const SharedStack&) = delete;
  SharedStack& operator=(const SharedStack&) = delete;

  /// Images first, first + 1 ... from a row-major array of count * box * box floats.
  void write(std::size_t first, std::size_t count, const float* images);
  /// What was written is on the disk when this returns.
  void flush();
  /// Writes the header and gives the file its name. Throws SystemError.
  void publish(double pixel_size, const MrcStatistics& statistics);

 private:
  std::string path_;
  std::size_t box_, count_;
  int fd_ = -1;
};

}  // namespace cryored
