#pragma once
// A full-screen text display that leaves the terminal as it was, on plain ANSI sequences.

#include <sys/types.h>

#include <string>
#include <vector>

namespace cryored {

/// While it lives: the terminal's second screen, no cursor, keys at once and unseen. Where stdout is no terminal it
/// prints each display after the other without any sequence. SIGINT, SIGTERM, SIGHUP and SIGQUIT end the display; the
/// destructor restores the terminal. One at a time.
class TerminalDisplay {
 public:
  TerminalDisplay();
  ~TerminalDisplay();
  TerminalDisplay(const TerminalDisplay&) = delete;
  TerminalDisplay& operator=(const TerminalDisplay&) = delete;

  /// Replaces what is shown, cut to the terminal's present size.
  void show(const std::vector<std::string>& lines) const;
  /// Waits; false when the user wants to end: q, Ctrl-C, a signal, or stdout is gone.
  bool wait(double seconds) const;
  /// The signal that ended the display, 0 for none.
  int signal() const;

 private:
  bool screen_ = false, keys_ = false;
};

}  // namespace cryored
