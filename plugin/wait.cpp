#include "plugin/wait.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/base/error.hpp"

namespace cryored::plugin {

Waiter::Waiter() {
  sigemptyset(&ending_);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&ending_, number);
  }
  signal(SIGCHLD, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  sigset_t blocked = ending_;
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, &before_);
  fd_ = signalfd(-1, &ending_, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd_ < 0)
    throw SystemError(Problem{"signalfd", "", std::strerror(errno), "", "raise the number of open files (ulimit -n)"});
}

Waiter::~Waiter() { close(fd_); }

bool Waiter::ready(int fd, short events, double seconds) const {
  const double end = now() + std::max(0.0, seconds);
  for (;;) {
    pollfd ends[2] = {{fd_, POLLIN, 0}, {fd, events, 0}};
    const double left = end - now();
    const int milliseconds = left <= 0 ? 0 : static_cast<int>(std::min(left * 1000 + 1, 1e6));
    const int count = poll(ends, fd < 0 ? 1 : 2, milliseconds);
    if (count < 0 && errno != EINTR)
      throw SystemError(Problem{"poll", "", std::strerror(errno), "", "free memory on this machine"});
    if (count > 0 && ends[0].revents != 0) {
      signalfd_siginfo info{};
      if (read(fd_, &info, sizeof info) == sizeof info) throw Interrupted{static_cast<int>(info.ssi_signo)};
    }
    if (count > 0 && fd >= 0 && ends[1].revents != 0) return true;
    if (count <= 0 && now() >= end) return false;
  }
}

double now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void Patience::reset() {
  waited_ = 0;
  last_ = now();
}

bool Patience::over() {
  const double time = now();
  waited_ += std::min(time - last_, 1.5);
  last_ = time;
  return waited_ >= limit_;
}

double Patience::slice() { return std::clamp(limit_ - waited_, 0.0, 1.0); }

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
  return text;
}

void end_by(int number) {
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  sigprocmask(SIG_UNBLOCK, &one, nullptr);
  raise(number);
  _exit(128 + number);
}

void say(const std::string& text) {
  // One write, so that the lines of several ranks do not mix.
  const std::string line = "cryored-reconstruct: " + text + "\n";
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t done = write(2, line.data() + at, line.size() - at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;
    at += static_cast<std::size_t>(done);
  }
}

}  // namespace cryored::plugin
