#include "plugin/link.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "core/base/error.hpp"

namespace cryored::plugin {
namespace {

std::string link_target(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = readlink(path.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : "";
}

/// "cryored daemon --background" on its way: it ends when the daemon listens, or with an error on its stderr.
class Launcher {
 public:
  ~Launcher() { close_pipe(); }  // a launcher that is still there goes on by itself

  void start(const std::string& folder, const std::string& name, const Waiter& waiter) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw Unreachable(std::string("cannot make a pipe: ") + std::strerror(errno));
    const std::string program = folder + "/cryored";
    child_ = fork();
    if (child_ == 0) {
      sigprocmask(SIG_SETMASK, &waiter.mask_before(), nullptr);
      const int null = open("/dev/null", O_RDWR);
      dup2(null, 0);
      dup2(null, 1);
      dup2(ends[1], 2);
      // Each request brings these itself: those of this job must not rule the jobs that come after it.
      execl(program.c_str(), "cryored", "daemon", "--background", "--daemon-name", name.c_str(), "--device", "auto",
            "--threads", "0", "--despite-broken-gpus", nullptr);
      const std::string text = program + ": " + std::strerror(errno) + "\n";
      if (write(2, text.data(), text.size()) < 0) _exit(126);
      _exit(127);
    }
    close(ends[1]);
    pipe_ = ends[0];
    fcntl(pipe_, F_SETFL, O_NONBLOCK);
    if (child_ < 0) throw Unreachable(std::string("cannot start a process: ") + std::strerror(errno));
  }

  bool running() {
    if (child_ <= 0) return false;
    const pid_t ended = waitpid(child_, &status_, WNOHANG);
    if (ended == 0 || (ended < 0 && errno == EINTR)) return true;
    child_ = 0;
    char text[2000];
    const ssize_t count = read(pipe_, text, sizeof text);
    said_.assign(text, count > 0 ? static_cast<std::size_t>(count) : 0);
    said_ = said_.substr(0, said_.find('\n'));
    close_pipe();
    return false;
  }
  bool failed() const { return child_ == 0 && !(WIFEXITED(status_) && WEXITSTATUS(status_) == 0); }
  std::string complaint() const {
    const std::string end = WIFSIGNALED(status_) ? "signal " + std::to_string(WTERMSIG(status_))
                                                 : "exit " + std::to_string(WEXITSTATUS(status_));
    return "cryored daemon --background ended with " + end + (said_.empty() ? "" : ": " + said_);
  }

 private:
  void close_pipe() {
    if (pipe_ >= 0) close(pipe_);
    pipe_ = -1;
  }
  pid_t child_ = -1;
  int pipe_ = -1, status_ = 0;
  std::string said_;
};

}  // namespace

Link::Link(const daemon::Address& address, const std::string& program_folder, const Settings& settings,
           const Waiter& waiter)
    : address_(address) {
  Patience patience(settings.connect_timeout);
  Launcher launcher;
  int starts = 0;
  try {
    for (double pause = 0.002;; pause = std::min(pause * 1.5, 0.05)) {
      if (try_connect()) {
        look_at_peer(program_folder);
        return;
      }
      if (!launcher.running() && !daemon::daemon_lives(address)) {
        // A daemon that started may have left again before anybody came (told to, or ended); thrice is no accident.
        if ((starts > 0 && launcher.failed()) || starts >= 3) {
          if (try_connect()) continue;
          throw Unreachable(launcher.complaint());
        }
        launcher.start(program_folder, settings.daemon_name, waiter);
        ++starts;
      }
      if (patience.over())
        throw Unreachable("waited " + seconds_text(settings.connect_timeout) + " (--connect-timeout) for " +
                          (starts > 0 ? "a daemon to start and listen on " : "the daemon to answer on ") +
                          address.socket());
      waiter.sleep(pause);
    }
  } catch (...) {
    hang_up();
    if (pidfd_ >= 0) close(pidfd_);
    throw;
  }
}

Link::~Link() {
  hang_up();
  if (pidfd_ >= 0) close(pidfd_);
}

void Link::hang_up() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

bool Link::try_connect() {
  if (fd_ >= 0) return true;
  const sockaddr_un name = daemon::socket_address(address_.socket());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw Unreachable(std::string("cannot make a socket: ") + std::strerror(errno));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0) {
    fd_ = fd;
    return true;
  }
  const int error = errno;
  close(fd);
  // Not there yet, left over by a daemon that was killed, or too many callers at once: all of that passes.
  if (error == ENOENT || error == ECONNREFUSED || error == EAGAIN || error == EINTR) return false;
  throw Unreachable(address_.socket() + ": " + std::strerror(error));
}

void Link::look_at_peer(const std::string& program_folder) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    throw Unreachable(std::string("who listens cannot be found out: ") + std::strerror(errno));
  if (peer.uid != getuid())
    throw Unreachable(address_.socket() + " belongs to a process of user " + std::to_string(peer.uid));
  pid_ = peer.pid;
  if (pid_ <= 0) return;  // in another pid namespace
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  const std::string process = "/proc/" + std::to_string(pid_);
  const std::string program = link_target(process + "/exe");
  is_ours_ =
      pidfd_ >= 0 && (program == program_folder + "/cryored" || program == program_folder + "/cryored (deleted)");
  const std::string there = link_target(process + "/ns/mnt"), here = link_target("/proc/self/ns/mnt");
  if (!there.empty() && !here.empty() && there != here)
    throw Unreachable("the daemon (pid " + std::to_string(pid_) +
                      ") sees other files, being in another mount namespace");
}

bool Link::has_ended(double seconds, const Waiter& waiter) const {
  if (pidfd_ >= 0) return waiter.ready(pidfd_, POLLIN, seconds);
  for (const double end = now() + seconds; daemon::daemon_lives(address_);) {
    if (now() >= end) return false;
    waiter.sleep(0.05);
  }
  return true;
}

void Link::make_sure_it_is_over(bool silent, const Settings& settings, const Waiter& waiter) {
  hang_up();
  const std::string who = "the daemon (pid " + std::to_string(pid_) + ")";
  if (has_ended(silent ? 0 : 2, waiter)) return;
  if (!silent) return;  // it lives and has closed the connection: by the protocol it has given the request up
  // Nobody but cryored itself writes our maps; a stranger on this socket cannot, and is none of ours to end.
  if (pidfd_ >= 0 && !is_ours_) return;
  if (pidfd_ >= 0) {
    say(who + " lives but is silent; ending it, so that it cannot write the same map later");
    syscall(SYS_pidfd_send_signal, pidfd_, SIGKILL, nullptr, 0);
  }
  if (has_ended(settings.connect_timeout, waiter)) return;
  throw SystemError(
      Problem{address_.lock(), "a daemon that is silent",
              who + " still there after " + seconds_text(settings.connect_timeout) + " (--connect-timeout)", "",
              "end that process, or repair the disk it waits for; computing now might write one map twice at a time"});
}

}  // namespace cryored::plugin
