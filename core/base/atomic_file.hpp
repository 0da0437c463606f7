#pragma once
// Publication of results: temporary file in the same folder, fsync, rename.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace cryored {

/// A file that appears under its final name only when commit() has succeeded.
/// Without commit() the destructor removes the temporary file, which on local file systems
/// has no name until then, so that not even kill -9 leaves one; an older file under
/// the final name stays untouched until then. The final name must not exist or be a
/// regular file (a symbolic link is replaced by the file, not followed).
class AtomicFile {
 public:
  enum class Naming { at_the_end, from_the_start };

  /// Opens a file without a name in the folder (O_TMPFILE), or, where the file system has none (or `naming` says so),
  /// `<folder>/.<name>.<pid>.<n>.tmp` for writing. Throws SystemError (folder
  /// missing, not writable, final name is a folder or a device ...), naming the final path.
  explicit AtomicFile(const std::string& final_path, Naming naming = Naming::at_the_end);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Appends bytes. Throws SystemError (disk full, quota, file size limit ...).
  void write(const void* bytes, std::size_t count);
  void write(const std::string& text) { write(text.data(), text.size()); }

  /// As write(), past the page cache on file systems of local disks, where what has been written so far is whole
  /// pieces, too: for pieces of large files, whose copies the cache would make and flush at several times the cost.
  /// `bytes` and `count`: multiples of kDiskPiece.
  void write_past_cache(const void* bytes, std::size_t count);
  static constexpr std::size_t kDiskPiece = 4096;

  /// Replaces bytes already written, from `offset` on; the end of the file, where
  /// write() appends, does not move. For headers that are known only at the end.
  void overwrite(std::uint64_t offset, const void* bytes, std::size_t count);

  /// fsync, link to or rename over the final path, fsync of the folder. Throws SystemError.
  void commit();

 private:
  void write_all(const void* bytes, std::size_t count, std::uint64_t offset);
  bool give_name();  ///< to a file without one: the final name (true), or the temporary one where that is taken

  std::string final_path_;
  std::string temporary_path_;
  std::uint64_t size_ = 0;
  int fd_ = -1;
  bool nameless_ = false;
  bool committed_ = false;
  std::optional<bool> past_cache_;  ///< whether the file system serves it; not asked yet
};

/// While it lives, AtomicFiles of this thread get the mode that a process with this umask would give them.
class FileUmaskScope {
 public:
  explicit FileUmaskScope(unsigned mask);
  ~FileUmaskScope();
  FileUmaskScope(const FileUmaskScope&) = delete;
  FileUmaskScope& operator=(const FileUmaskScope&) = delete;

 private:
  int before_;
};

/// Writes a whole text file atomically.
void write_text_atomically(const std::string& path, const std::string& text);

}  // namespace cryored
