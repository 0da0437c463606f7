#include "cli/signals.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace cryored {
namespace {

void remove_temporaries(const std::string& output) {
  const std::filesystem::path path(output);
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const std::string prefix = "." + path.filename().string() + "." + std::to_string(getpid()) + ".";
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().filename().string().rfind(prefix, 0) == 0) {
      std::error_code ignored;
      std::filesystem::remove(entry->path(), ignored);
    }
}

}  // namespace

void remove_temporary_files_on_signal(std::vector<std::string> outputs) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A thread that waits, and no handler: removing files is not safe inside a handler.
  std::thread([set, outputs = std::move(outputs)] {
    int number = 0;
    if (sigwait(&set, &number) != 0) return;
    for (const auto& output : outputs) remove_temporaries(output);
    signal(number, SIG_DFL);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    kill(getpid(), number);
    for (;;) pause();
  }).detach();
}

}  // namespace cryored
