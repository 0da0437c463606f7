#include "plugin/helper.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/base/error.hpp"

extern char** environ;

namespace cryored::plugin {
namespace {

constexpr int exit_failure = 1;

void complain(const std::string& message) { say("error: " + message); }

bool starts_with(const char* text, const char* prefix) { return std::strncmp(text, prefix, std::strlen(prefix)) == 0; }

[[noreturn]] void become(const std::string& helper, char** arguments, pid_t parent, const sigset_t& mask) {
  // No orphan works on when this program is killed outright; SIGTERM lets it remove its temporary files.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(exit_failure);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  execv(helper.c_str(), arguments);
  const int error = errno;
  complain(helper + ": helper program: " + std::strerror(error) +
           "; allowed: the executable program cryored in the folder of cryored-reconstruct. Remedy: build or install "
           "both programs again");
  _exit(exit_failure);
}

/// Waits for the helper, passing signals on. Returns its wait status.
int supervise(pid_t child, const sigset_t& waited) {
  for (;;) {
    siginfo_t info;
    const int number = sigwaitinfo(&waited, &info);
    if (number > 0 && number != SIGCHLD) {
      kill(child, number);
      continue;
    }
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) {
      complain(std::string("waiting for the helper failed: ") + std::strerror(errno));
      return exit_failure << 8;
    }
  }
}

int report_killed(int number, const std::string& helper) {
  const bool asked = number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
  std::string message = helper + ": helper process: ended by signal " + std::to_string(number) + " (" +
                        strsignal(number) + "), no result was written";
  if (number == SIGKILL)
    message +=
        ". Remedy: the system ends a process like this when memory runs out (see dmesg, or the batch system's limit): "
        "ask for more memory, or let RELION reconstruct the halves in turn with --sequential_halves_recons";
  else if (!asked)
    message += ". Remedy: this is a fault of cryored; please report it with the STAR file's name and cryored version";
  complain(message);
  if (!asked) return exit_failure;
  end_by(number);  // as the helper did, so that the caller sees the signal
}

}  // namespace

std::string own_folder() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0 || length >= static_cast<ssize_t>(sizeof path))
    throw SystemError(
        "/proc/self/exe: cannot be read; allowed: a mounted /proc. Remedy: mount /proc in this container");
  const std::string file(path, static_cast<std::size_t>(length));
  return file.substr(0, file.rfind('/'));
}

void clean_environment() {
  std::string ranks;
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE"})
    if (const char* value = std::getenv(name); value && ranks.empty()) ranks = value;
  std::vector<std::string> names;
  for (char** entry = environ; *entry; ++entry)
    for (const char* prefix : {"OMPI_", "PMIX_", "PMI_", "HYDRA_", "HYDI_", "MPI_LOCAL", "MV2_", "ORTE_", "PRTE_"})
      if (starts_with(*entry, prefix)) names.emplace_back(*entry, std::strcspn(*entry, "="));
  for (const auto& name : names) unsetenv(name.c_str());
  if (!ranks.empty()) setenv("CRYORED_LOCAL_RANKS", ranks.c_str(), 1);
  // Idle OpenMP threads sleep instead of spinning against the other ranks.
  setenv("OMP_WAIT_POLICY", "passive", 0);
}

int run_helper(const std::string& folder, const std::vector<std::string>& arguments, const Waiter& waiter) {
  const std::string helper = folder + "/cryored";
  std::vector<std::string> copies{"cryored"};
  copies.insert(copies.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (auto& word : copies) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t self = getpid();
  const pid_t child = fork();
  if (child == 0) become(helper, pointers.data(), self, waiter.mask_before());
  if (child < 0) {
    complain(std::string("cannot start the helper process: ") + std::strerror(errno) +
             ". Remedy: see ulimit -u and the memory of this machine");
    return exit_failure;
  }
  sigset_t waited = waiter.ending_signals();
  sigaddset(&waited, SIGCHLD);
  const int status = supervise(child, waited);
  if (WIFSIGNALED(status)) return report_killed(WTERMSIG(status), helper);
  return WEXITSTATUS(status);
}

}  // namespace cryored::plugin
