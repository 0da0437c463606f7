#pragma once
// Which daemon computes a request of a watched folder. Generation 0 belongs to the daemon that makes the answer file of
// that number first (link(2) fails for all others, over NFS too), the next one to the daemon that takes over. Nothing
// here looks at the clock of another machine.

#include <cstdint>
#include <string>

namespace cryored::daemon {

/// This process, such that its end can be seen from the same machine: boot id, pid namespace, pid, start time.
std::string own_holder();
/// True only where it is certain: the holder ran on this machine in this pid namespace, and is no more (or the machine
/// was started again).
bool holder_is_dead(const std::string& holder);

/// Makes the file with this text, complete from its first moment on where the file system has hard links. False where
/// it is there already. Throws SystemError.
bool create_exclusively(const std::string& path, const std::string& text);

/// The highest generation of answers beside `star` for this nonce; -1: none.
int highest_generation(const std::string& star, const std::string& nonce);

/// How long something has stood still by this process's own clock. Of the time between two looks at most
/// `most_per_look` seconds count, since this process may have been stopped itself.
class Stillness {
 public:
  explicit Stillness(double most_per_look = 6) : most_(most_per_look) {}
  /// `now` in seconds of CLOCK_MONOTONIC. True where the value differs from the last one seen.
  bool see(std::uint64_t value, double now);
  double seconds() const { return still_; }
  void restart() { still_ = 0; }

 private:
  double most_, still_ = 0, last_ = 0;
  std::uint64_t value_ = 0;
  bool seen_ = false;
};

}  // namespace cryored::daemon
