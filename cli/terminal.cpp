#include "cli/terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "daemon/status_text.hpp"

namespace cryored {
namespace {

volatile std::sig_atomic_t ended_by = 0;
termios keys_before{};
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

void note_signal(int number) { ended_by = number; }

// Also for a terminal that takes only part of it at once; a closed one is noticed by wait().
void put(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t count = write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (count < 0 && errno == EINTR && !ended_by) continue;
    if (count <= 0) return;
    at += static_cast<std::size_t>(count);
  }
}

}  // namespace

TerminalDisplay::TerminalDisplay() {
  ended_by = 0;
  struct sigaction action {};
  action.sa_handler = note_signal;  // without SA_RESTART: poll() ends
  for (const int number : kSignals) sigaction(number, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  screen_ = isatty(STDOUT_FILENO) == 1;
  if (!screen_) return;
  // Reading keys as a background job would stop it.
  if (isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp() && tcgetattr(STDIN_FILENO, &keys_before) == 0) {
    termios now = keys_before;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys_ = tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
  }
  put("\x1b[?1049h\x1b[?25l");
}

TerminalDisplay::~TerminalDisplay() {
  if (screen_) put("\x1b[?25h\x1b[?1049l");
  if (keys_) tcsetattr(STDIN_FILENO, TCSANOW, &keys_before);
}

int TerminalDisplay::signal() const { return ended_by; }

void TerminalDisplay::show(const std::vector<std::string>& lines) const {
  if (!screen_) {
    std::string page;
    for (const std::string& line : lines) page += line + "\n";
    put(page + "\n");
    return;
  }
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
  const std::size_t width = known ? size.ws_col : 80, height = known ? size.ws_row : 24;
  std::string page = "\x1b[H";
  for (std::size_t i = 0; i < std::min(lines.size(), height); ++i) {
    // The rest of each line is cleared, not the screen before: no flicker.
    const bool more = i + 1 == height && lines.size() > height;
    page += (more ? daemon::cut_to("~ " + std::to_string(lines.size() - height + 1) + " more lines", width)
                  : daemon::cut_to(lines[i], width)) +
            "\x1b[K" + (i + 1 < height ? "\r\n" : "");
  }
  put(page + "\x1b[J");
}

bool TerminalDisplay::wait(double seconds) const {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!ended_by) {
    const double left = std::chrono::duration<double>(end - Clock::now()).count();
    if (left <= 0) return true;
    pollfd watched[2] = {{keys_ ? STDIN_FILENO : -1, POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    if (poll(watched, 2, static_cast<int>(std::min(left * 1000 + 1, 1e9))) <= 0) continue;
    if (watched[1].revents & (POLLERR | POLLHUP | POLLNVAL)) return false;
    if (!watched[0].revents) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') return false;
    return true;  // any other key: show anew at once
  }
  return false;
}

}  // namespace cryored
