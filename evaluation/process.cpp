#include "evaluation/process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/base/error.hpp"

namespace cryored {
namespace {

double seconds(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

/// CPU time so far of a process, what it waited for, and all below it that still run; s. From /proc/*/stat.
double tree_seconds(int root) {
  struct Process {
    int parent = 0;
    double ticks = 0;
  };
  std::map<int, Process> processes;
  std::error_code ignored;
  for (std::filesystem::directory_iterator it("/proc", ignored), end; !ignored && it != end; it.increment(ignored)) {
    const int pid = std::atoi(it->path().filename().c_str());
    if (pid <= 0) continue;
    std::ifstream file(it->path() / "stat");
    std::string line;
    // The name in brackets may hold anything, spaces and brackets too.
    if (!std::getline(file, line) || line.rfind(')') == std::string::npos) continue;
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string state, skipped;
    Process process;
    fields >> state >> process.parent;
    for (int i = 5; i <= 13; ++i) fields >> skipped;
    for (int i = 14; i <= 17; ++i) {  // utime, stime, cutime, cstime
      double ticks = 0;
      fields >> ticks;
      process.ticks += ticks;
    }
    if (fields) processes[pid] = process;
  }
  double ticks = 0;
  for (const auto& [pid, process] : processes) {
    int ancestor = pid;
    // A process may have ended between two lines, so a chain can break off; it cannot go on for ever.
    for (int depth = 0; ancestor != root && ancestor > 1 && depth < 100; ++depth)
      ancestor = processes.contains(ancestor) ? processes[ancestor].parent : 0;
    if (ancestor == root) ticks += process.ticks;
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : std::string();
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = (std::filesystem::path(folder.empty() ? "." : folder) / name).string();
    if (access(candidate.c_str(), X_OK) == 0 && !std::filesystem::is_directory(candidate)) return candidate;
  }
  return {};
}

ChildProcess::ChildProcess(const std::vector<std::string>& words, const std::string& folder, const std::string& log,
                           const std::map<std::string, std::string>& environment,
                           const std::function<bool(const std::string&)>& passes) {
  // Everything that allocates is made before fork, since only async-signal-safe calls may follow it.
  const std::string program = find_program(words.at(0));
  if (program.empty())
    throw SystemError({words[0], "", "not found in PATH", "an executable program", "install it (./dev setup does)"});
  std::vector<std::string> assignments;
  for (char** e = environ; *e; ++e) {
    const std::string entry = *e;
    const std::string name = entry.substr(0, entry.find('='));
    if (!environment.contains(name) && (!passes || passes(name))) assignments.push_back(entry);
  }
  for (const auto& [name, value] : environment) assignments.push_back(std::string(name).append("=").append(value));
  std::vector<char*> argv, envp;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& entry : assignments) envp.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) throw SystemError({log, "", std::strerror(errno), "a file that can be written", ""});
  const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t parent = getpid();

  pid_ = fork();
  if (pid_ < 0) {
    const int error = errno;
    close(log_fd);
    close(null_fd);
    throw SystemError({program, "", std::string("fork: ") + std::strerror(error), "", ""});
  }
  if (pid_ == 0) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // the parent ended before the line above
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (dup2(null_fd, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0 || chdir(folder.c_str()) != 0) _exit(126);
    execve(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  setpgid(pid_, pid_);  // whichever of the two comes first
  close(log_fd);
  close(null_fd);
}

ChildProcess::~ChildProcess() {
  if (!status_) stop();
}

std::optional<int> ChildProcess::poll() {
  if (status_) return status_;
  int status = 0;
  rusage usage{};
  pid_t got;
  do {
    got = wait4(pid_, &status, WNOHANG, &usage);
  } while (got < 0 && errno == EINTR);
  if (got == pid_) {
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    cpu_seconds_ = std::max(cpu_seconds_, seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
  return status_;
}

void ChildProcess::stop(double grace_seconds) {
  if (status_) return;
  // mpirun ends before it has waited for its ranks, so their time would be lost.
  cpu_seconds_ = tree_seconds(pid_);
  kill(-pid_, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(grace_seconds);
  while (!poll() && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  // mpirun may be gone while a rank hangs on, hence the group in any case.
  kill(-pid_, SIGKILL);
  while (!poll()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

}  // namespace cryored
