#include "core/base/atomic_stream.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "core/base/atomic_file.hpp"

namespace cryored {
namespace {

constexpr std::size_t kBuffer = std::size_t{4} << 20;
static_assert(kBuffer % AtomicFile::kDiskPiece == 0);

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<char, Free>;

Buffer new_buffer() {
  void* memory = std::aligned_alloc(AtomicFile::kDiskPiece, kBuffer);
  if (!memory) throw std::bad_alloc();
  return Buffer(static_cast<char*>(memory));
}

}  // namespace

struct AtomicStream::State {
  explicit State(const std::string& path) : file(path) {}

  /// Gives the full buffer to the thread and takes the other one.
  void hand_over() {
    if (!thread.joinable()) {
      other = new_buffer();
      thread = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }
    std::unique_lock lock(mutex);
    wait(lock);
    std::swap(filling, other);
    used = 0;
    full = true;
    changed.notify_all();
  }

  /// Until the thread has written what it has. Throws what failed there.
  void wait(std::unique_lock<std::mutex>& lock) {
    changed.wait(lock, [&] { return !full; });
    if (fault) std::rethrow_exception(fault);
  }

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (changed.wait(lock, stop, [&] { return full; })) {
      lock.unlock();
      try {
        file.write_past_cache(other.get(), kBuffer);
      } catch (...) {
        fault = std::current_exception();
      }
      lock.lock();
      full = false;
      changed.notify_all();
    }
  }

  AtomicFile file;  // the thread's while `full`
  Buffer filling = new_buffer(), other;
  std::size_t used = 0;  // of `filling`
  std::mutex mutex;
  std::condition_variable_any changed;
  bool full = false;  // `other` is to be written
  std::exception_ptr fault;
  std::jthread thread;  // the last member: it uses the others
};

AtomicStream::AtomicStream(const std::string& final_path) : state_(std::make_unique<State>(final_path)) {}
AtomicStream::~AtomicStream() = default;

void AtomicStream::write(const void* bytes, std::size_t count) {
  State& s = *state_;
  const char* from = static_cast<const char*>(bytes);
  while (count > 0) {
    const std::size_t here = std::min(count, kBuffer - s.used);
    std::memcpy(s.filling.get() + s.used, from, here);
    s.used += here;
    from += here;
    count -= here;
    if (s.used == kBuffer) s.hand_over();
  }
}

void AtomicStream::commit(const void* head, std::size_t count) {
  State& s = *state_;
  {
    std::unique_lock lock(s.mutex);
    s.wait(lock);
  }
  s.file.write(s.filling.get(), s.used);
  s.used = 0;
  s.file.overwrite(0, head, count);
  s.file.commit();
}

}  // namespace cryored
