#include "core/base/atomic_stream.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "core/base/atomic_file.hpp"
#include "core/base/huge_pages.hpp"

namespace cryored {
namespace {

constexpr std::size_t kBuffer = std::size_t{4} << 20;
static_assert(kBuffer % AtomicFile::kDiskPiece == 0 && kBuffer % kHugePage == 0 &&
              kHugePage % AtomicFile::kDiskPiece == 0);
constexpr std::size_t kBuffers = 8;  // on their way: whoever makes the bytes does so in bursts

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<char, Free>;

Buffer new_buffer() {
  void* memory = std::aligned_alloc(kHugePage, kBuffer);
  if (!memory) throw std::bad_alloc();
  prefer_huge_pages(memory, kBuffer);
  return Buffer(static_cast<char*>(memory));
}

}  // namespace

struct AtomicStream::State {
  explicit State(const std::string& path) : file(path) {}

  /// Gives the full ones of the open buffers to the thread.
  void hand_over() {
    if (used < kBuffer) return;
    if (!thread.joinable()) thread = std::jthread([this](const std::stop_token& stop) { run(stop); });
    std::unique_lock lock(mutex);
    for (; used >= kBuffer; used -= kBuffer) {
      changed.wait(lock, [&] { return full.size() < kBuffers; });
      if (fault) std::rethrow_exception(fault);
      full.push_back(std::move(open.front()));
      open.pop_front();
      changed.notify_all();
    }
  }

  /// Room for `count` bytes more.
  void open_for(std::size_t count) {
    const std::scoped_lock lock(mutex);
    for (std::size_t room = open.size() * kBuffer; room < used + count; room += kBuffer) {
      if (empty.empty()) empty.push_back(new_buffer());
      open.push_back(std::move(empty.back()));
      empty.pop_back();
    }
  }

  void wait_until_written() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return full.empty(); });
    if (fault) std::rethrow_exception(fault);
  }

  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (changed.wait(lock, stop, [&] { return !full.empty(); }) && !stop.stop_requested()) {
      const char* const piece = full.front().get();
      const bool good = !fault;
      lock.unlock();
      std::exception_ptr problem;
      try {
        if (good) file.write_past_cache(piece, kBuffer);
      } catch (...) {
        problem = std::current_exception();
      }
      lock.lock();
      if (problem) fault = problem;
      empty.push_back(std::move(full.front()));
      full.pop_front();
      changed.notify_all();
    }
  }

  AtomicFile file;                     // the thread's while anything is `full`
  std::deque<Buffer> open;             // being filled, one after the other
  std::size_t used = 0, reserved = 0;  // bytes of `open`; where the last reservation among them begins
  std::mutex mutex;
  std::condition_variable_any changed;
  std::deque<Buffer> full;  // to be written, in this order; the first one is in the thread's hands
  std::vector<Buffer> empty;
  std::exception_ptr fault;
  std::jthread thread;  // the last member: it uses the others
};

AtomicStream::AtomicStream(const std::string& final_path) : state_(std::make_unique<State>(final_path)) {}
AtomicStream::~AtomicStream() = default;

void AtomicStream::reserve(std::size_t count) {
  State& s = *state_;
  s.hand_over();
  s.open_for(count);
  s.reserved = s.used;
  s.used += count;
}

void AtomicStream::place(std::size_t offset, const void* bytes, std::size_t count) {
  State& s = *state_;
  const char* from = static_cast<const char*>(bytes);
  for (std::size_t at = s.reserved + offset; count > 0;) {
    const std::size_t here = std::min(count, kBuffer - at % kBuffer);
    std::memcpy(s.open[at / kBuffer].get() + at % kBuffer, from, here);
    at += here;
    from += here;
    count -= here;
  }
}

void AtomicStream::write(const void* bytes, std::size_t count) {
  const char* from = static_cast<const char*>(bytes);
  for (std::size_t here = 0; count > 0; from += here, count -= here) {
    here = std::min(count, kBuffer);
    reserve(here);
    place(0, from, here);
  }
}

void AtomicStream::commit(const void* head, std::size_t count) {
  State& s = *state_;
  s.hand_over();
  s.wait_until_written();
  if (s.used > 0) s.file.write(s.open.front().get(), s.used);
  s.used = 0;
  s.file.overwrite(0, head, count);
  s.file.commit();
}

}  // namespace cryored
