#pragma once
// Publication of large files that are made piece by piece.

#include <cstddef>
#include <memory>
#include <string>

namespace cryored {

/// An AtomicFile that a thread of its own brings to the disk while the next pieces are made. One thread at a time
/// calls, but for place().
class AtomicStream {
 public:
  /// As AtomicFile's.
  explicit AtomicStream(const std::string& final_path);
  /// Without commit() there is no file.
  ~AtomicStream();
  AtomicStream(const AtomicStream&) = delete;
  AtomicStream& operator=(const AtomicStream&) = delete;

  /// Appends bytes; waits where 32 MiB are on their way. Throws SystemError, which may be that of
  /// earlier bytes.
  void write(const void* bytes, std::size_t count);

  /// The next `count` bytes: place() fills all of them before any other call. Waits and throws as write().
  void reserve(std::size_t count);
  /// Copies bytes to `offset` of what was reserved last; threads may fill different parts at once. offset + count: at
  /// most what was reserved.
  void place(std::size_t offset, const void* bytes, std::size_t count);

  /// Replaces the first bytes, flushes and publishes as AtomicFile::commit(). For headers that are known at the end.
  void commit(const void* head, std::size_t count);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cryored
