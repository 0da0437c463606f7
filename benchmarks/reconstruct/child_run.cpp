#include "benchmarks/reconstruct/child_run.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>

#include "core/base/error.hpp"

namespace cryored {
namespace {

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

/// Waits for the child; throws unless it ended with 0.
rusage wait_for(pid_t pid, const std::string& name, const std::string& log) {
  int status = 0;
  rusage usage{};
  if (wait4(pid, &status, 0, &usage) != pid)
    throw SystemError(Problem{name, "process", "lost", "one that can be waited for", "run the benchmark again"});
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw SystemError(
        Problem{name, "exit status",
                WIFEXITED(status) ? std::to_string(WEXITSTATUS(status)) : "signal " + std::to_string(WTERMSIG(status)),
                "0", log.empty() ? "see its message above" : "see its output in " + log});
  return usage;
}

pid_t fork_or_throw(const std::string& name) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw SystemError(Problem{name, "process", "cannot be started", "a free process slot", "try again"});
  return pid;
}

}  // namespace

ChildRun run_child(const std::vector<std::string>& words, const std::string& folder, const std::string& log) {
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const pid_t pid = fork_or_throw(words[0]);
  if (pid == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || chdir(folder.c_str()) != 0) _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  const rusage usage = wait_for(pid, words[0], log);
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {wall.count(), seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<double>(usage.ru_maxrss) / 1024};
}

void in_fork(void (*work)(const void*), const void* argument, const std::string& name) {
  const pid_t pid = fork_or_throw(name);
  if (pid == 0) {
    try {
      work(argument);
      _exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
  }
  wait_for(pid, name, "");
}

}  // namespace cryored
