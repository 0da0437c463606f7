#pragma once
// Waiting that a signal ends at once, and that always has an end.

#include <signal.h>

#include <string>

namespace cryored::plugin {

/// A signal told this program to end.
struct Interrupted {
  int signal;
};

/// Blocks the signals that end this program, unless the caller ignores them (nohup), and delivers them from waits.
class Waiter {
 public:
  Waiter();
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Waits until `fd` is ready for `events` (poll's), at most `seconds`; with fd -1 only sleeps. Throws Interrupted.
  bool ready(int fd, short events, double seconds) const;
  void sleep(double seconds) const { ready(-1, 0, seconds); }

  const sigset_t& ending_signals() const { return ending_; }
  const sigset_t& mask_before() const { return before_; }

 private:
  sigset_t ending_, before_;
  int fd_ = -1;
};

/// Seconds of a clock that nobody sets.
double now();

/// How long one has waited in vain. A stop of this whole job (SIGSTOP, a suspended machine) counts for little, since
/// the other side may have been stopped as well: of the time between two looks, at most 1.5 s count.
class Patience {
 public:
  explicit Patience(double seconds) : limit_(seconds), last_(now()) {}
  void reset();
  bool over();
  /// For the next wait: until the end, at most a second.
  double slice();
  double limit() const { return limit_; }

 private:
  double limit_, last_, waited_ = 0;
};

/// "1.5", for messages.
std::string seconds_text(double seconds);

/// Ends this program by that signal, as the caller expects.
[[noreturn]] void end_by(int signal);

/// One line on stderr, which RELION keeps in run.err: "cryored-reconstruct: <text>".
void say(const std::string& text);

}  // namespace cryored::plugin
