#include "daemon/background.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "core/base/error.hpp"

extern char** environ;

namespace cryored::daemon {
namespace {

constexpr const char* report_variable = "CRYORED_START_REPORT";

[[noreturn]] void fail(const char* doing) {
  throw SystemError(Problem{"start of the daemon", doing, std::strerror(errno), "",
                            "see ulimit -u, ulimit -n and the memory of this machine"});
}

/// Everything after the fork; only what is safe there, and exec at the end.
[[noreturn]] void become_daemon(const char* program, char** words, char** environment, int report) {
  if (setsid() < 0) _exit(1);
  const pid_t second = fork();
  if (second != 0) _exit(second < 0 ? 1 : 0);
  if (chdir("/") != 0) _exit(1);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) _exit(1);
  // The report goes to descriptor 3, and nothing else stays open.
  if (report != 3 && dup2(report, 3) < 0) _exit(1);
  for (int fd = 0; fd < 3; ++fd)
    if (dup2(null, fd) < 0) _exit(1);
  long most = sysconf(_SC_OPEN_MAX);
  if (close_range(4, ~0u, 0) != 0)
    for (int fd = 4; fd < (most > 0 && most < 65536 ? most : 65536); ++fd) close(fd);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  // Limits that the caller's shell has set for one job are not the daemon's.
  for (const auto kind : {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA}) {
    rlimit limit{};
    if (getrlimit(kind, &limit) != 0) continue;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(kind, &limit);
  }
  cpu_set_t all;
  std::memset(&all, 0xff, sizeof all);
  sched_setaffinity(0, sizeof all, &all);  // the kernel keeps to what the control group allows
  execve(program, words, environment);
  _exit(127);
}

bool is_launchers(const char* entry) {
  for (const char* prefix :
       {"OMPI_", "PMIX_", "PMI_", "HYDRA_", "HYDI_", "MPI_LOCAL", "MV2_", "ORTE_", "PRTE_",
        "CRYORED_LOCAL_RANKS=", "CRYORED_START_REPORT=", "GOMP_CPU_AFFINITY=", "OMP_PROC_BIND=", "OMP_PLACES="})
    if (std::strncmp(entry, prefix, std::strlen(prefix)) == 0) return true;
  return false;
}

}  // namespace

StartReport::StartReport() {
  const char* text = std::getenv(report_variable);
  if (text && std::strcmp(text, "3") == 0) fd_ = 3;
  unsetenv(report_variable);
  if (fd_ >= 0) fcntl(fd_, F_SETFD, FD_CLOEXEC);
}

void StartReport::good(const std::string& text) { send('g', 0, text); }
void StartReport::bad(const std::string& text, int code) { send('b', code, text); }

void StartReport::send(char kind, int code, const std::string& text) {
  if (fd_ < 0) return;
  const std::string all = std::string(1, kind) + static_cast<char>('0' + code) + text;
  for (std::size_t sent = 0; sent < all.size();) {
    const ssize_t count = write(fd_, all.data() + sent, all.size() - sent);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;  // the starter has gone; the daemon serves all the same
    sent += static_cast<std::size_t>(count);
  }
  close(fd_);
  fd_ = -1;
}

int start_in_background(const std::string& program, const std::vector<std::string>& words) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) fail("pipe");
  std::vector<char*> arguments{const_cast<char*>(program.c_str())}, environment;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  for (char** entry = environ; *entry; ++entry)
    if (!is_launchers(*entry)) environment.push_back(*entry);
  std::string variable = std::string(report_variable) + "=3";
  environment.push_back(variable.data());
  environment.push_back(nullptr);
  // dup2() onto itself would keep O_CLOEXEC.
  if (report[1] == 3) fcntl(3, F_SETFD, 0);
  const pid_t first = fork();
  if (first < 0) fail("fork");
  if (first == 0) become_daemon(program.c_str(), arguments.data(), environment.data(), report[1]);
  close(report[1]);
  int status = 0;
  while (waitpid(first, &status, 0) < 0 && errno == EINTR) {
  }
  std::string text;
  char piece[1024];
  for (;;) {
    const ssize_t count = read(report[0], piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(piece, static_cast<std::size_t>(count));
  }
  close(report[0]);
  if (text.size() < 2)
    throw SystemError(Problem{"start of the daemon", "", "it ended without a word", "",
                              "run cryored daemon without --background to see why"});
  (text[0] == 'g' ? std::cout : std::cerr) << text.substr(2) << std::endl;
  return text[1] - '0';
}

}  // namespace cryored::daemon
