// cryored-reconstruct: what RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE names.
//
// RELION runs "<words of the variable> <STAR>" through system(), from one or several MPI
// ranks at a time. This program starts in about a millisecond, runs "cryored reconstruct"
// of the same folder as a helper process, passes signals on, and returns its exit code.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern char** environ;

namespace {

constexpr int exit_failure = 1;

void complain(const std::string& message) { std::fprintf(stderr, "cryored-reconstruct: error: %s\n", message.c_str()); }

/// Folder of this very program, symbolic links resolved; empty when /proc is not there.
std::string own_folder() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0 || length >= static_cast<ssize_t>(sizeof path)) return "";
  const std::string file(path, static_cast<std::size_t>(length));
  return file.substr(0, file.rfind('/'));
}

bool starts_with(const char* text, const char* prefix) { return std::strncmp(text, prefix, std::strlen(prefix)) == 0; }

/// The helper is no MPI program: the launcher's variables are kept from it, so that no
/// library it loads takes itself for a rank. What they tell about how many ranks share
/// this machine is handed on, for the helper's number of threads.
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

/// Signals to pass on: those whose default would end us, unless the caller ignores them (nohup).
sigset_t forwarded_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  return set;
}

[[noreturn]] void run_helper(const std::string& helper, char** arguments, pid_t parent, const sigset_t& mask) {
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
  // End as the helper did, so that the caller sees the signal.
  signal(number, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  sigprocmask(SIG_UNBLOCK, &one, nullptr);
  raise(number);
  return exit_failure;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = own_folder();
  if (folder.empty()) {
    complain("/proc/self/exe: cannot be read; allowed: a mounted /proc. Remedy: mount /proc in this container");
    return exit_failure;
  }
  const std::string helper = folder + "/cryored";
  // When RELION dies (mpirun kills its ranks outright), this program ends too.
  if (const char* variable = std::getenv("RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE"); variable && *variable)
    prctl(PR_SET_PDEATHSIG, SIGTERM);
  clean_environment();

  std::string program = "cryored", command = "reconstruct";
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) {
    command = "version";
    argc = 1;
  }
  std::vector<char*> arguments{program.data(), command.data()};
  for (int i = 1; i < argc; ++i) arguments.push_back(argv[i]);
  arguments.push_back(nullptr);

  signal(SIGCHLD, SIG_DFL);
  sigset_t waited = forwarded_signals(), before;
  sigaddset(&waited, SIGCHLD);
  sigprocmask(SIG_BLOCK, &waited, &before);
  const pid_t self = getpid();
  const pid_t child = fork();
  if (child == 0) run_helper(helper, arguments.data(), self, before);
  if (child < 0) {
    complain(std::string("cannot start the helper process: ") + std::strerror(errno) +
             ". Remedy: see ulimit -u and the memory of this machine");
    return exit_failure;
  }
  const int status = supervise(child, waited);
  if (WIFSIGNALED(status)) return report_killed(WTERMSIG(status), helper);
  return WEXITSTATUS(status);
}
