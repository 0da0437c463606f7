#include "cli/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>

namespace cryored {
namespace {

volatile std::sig_atomic_t stop_signal = 0;

void note_signal(int number) { stop_signal = number; }

}  // namespace

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) != 0) {}

void ProgressLine::show(const std::string& stage, const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  const bool changed = stage != stage_;
  if (terminal_) {
    if (changed) finish();
    const std::string line = stage + ": " + text;
    std::fprintf(stderr, "\r%s%s", line.c_str(),
                 std::string(drawn_ > line.size() ? drawn_ - line.size() : 0, ' ').c_str());
    std::fflush(stderr);
    drawn_ = line.size();
  } else if (changed || now - last_ > std::chrono::seconds(30)) {
    std::fprintf(stderr, "%s: %s\n", stage.c_str(), text.c_str());
    last_ = now;
  }
  stage_ = stage;
}

void ProgressLine::finish() {
  if (drawn_ > 0) std::fputc('\n', stderr);
  drawn_ = 0;
  stage_.clear();
}

std::string duration(double seconds) {
  const long s = std::max(0L, static_cast<long>(seconds + 0.5));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

std::string progress_text(const RunProgress& p, const RelionOptions& options) {
  std::string text;
  const int iteration = std::max(p.log.iteration, p.finished_iterations);
  if (iteration == 0) {
    text = "starting";
  } else {
    text = fmt::format("iteration {}", iteration);
    if (options.max_iterations > 0) text += fmt::format(" of at most {}", options.max_iterations);
    text += ", " + p.log.phase;
    if (p.log.total > 0) text += fmt::format(" {:.0f} %", std::min(100.0, 100 * p.log.elapsed / p.log.total));
  }
  text += ", " + duration(p.elapsed) + " so far";
  if (p.left) text += ", at most " + duration(*p.left) + " left";
  return text;
}

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaction(number, &action, nullptr);
}

bool interrupted() { return stop_signal != 0; }

}  // namespace cryored
