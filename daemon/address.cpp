#include "daemon/address.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/base/error.hpp"

namespace cryored::daemon {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_folder(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

[[noreturn]] void refuse_folder(const std::string& path, const std::string& found) {
  throw SystemError(Problem{path, "runtime folder of cryored", found,
                            "a folder of your own with mode 0700, no symbolic link",
                            "remove it, or name another one in CRYORED_RUNTIME_DIR"});
}

int open_lock(const std::string& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

int lock_now(int fd, int operation) {
  int result;
  do {
    result = flock(fd, operation | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result;
}

/// Whether the path still names the open file.
bool same_file(int fd, const std::string& path) {
  struct stat open_file {
  }, named{};
  return fstat(fd, &open_file) == 0 && lstat(path.c_str(), &named) == 0 && open_file.st_dev == named.st_dev &&
         open_file.st_ino == named.st_ino;
}

std::string program_text(const std::string& folder, const struct stat& program) {
  const long long mtime = 1000000000LL * program.st_mtim.tv_sec + program.st_mtim.tv_nsec;
  return folder + " " + std::to_string(program.st_size) + " " + std::to_string(mtime);
}

}  // namespace

void check_daemon_name(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 32 &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == std::string::npos;
  if (!good)
    throw UsageError(Problem{"--daemon-name", "", name.empty() ? "nothing" : name, "1 to 32 letters, digits, _ and -",
                             "choose such a name"});
}

AddressInputs address_inputs(const std::string& name, const std::string& program_folder) {
  check_daemon_name(name);
  AddressInputs inputs;
  inputs.name = name;
  inputs.uid = getuid();
  char host[HOST_NAME_MAX + 1] = {};
  if (gethostname(host, HOST_NAME_MAX) != 0)
    throw SystemError(Problem{"host name", "", std::strerror(errno), "a machine with a name", ""});
  inputs.host = host;
  char real[PATH_MAX];
  const std::string program = program_folder + "/cryored";
  struct stat info {};
  if (!realpath(program_folder.c_str(), real) || stat(program.c_str(), &info) != 0)
    throw SystemError(Problem{program, "program", std::strerror(errno),
                              "the program cryored beside cryored-reconstruct",
                              "build or install both programs again"});
  inputs.program = program_text(real, info);
  inputs.slurm_job = variable("SLURM_JOB_ID");
  inputs.slurm_step = variable("SLURM_STEP_ID");
  if (const char* devices = std::getenv("CUDA_VISIBLE_DEVICES")) inputs.cuda_visible_devices = devices;
  return inputs;
}

std::string address_key(const AddressInputs& inputs) {
  const std::string text = "v1\n" + std::to_string(inputs.uid) + "\n" + inputs.host + "\n" + inputs.program + "\n" +
                           inputs.slurm_job + "." + inputs.slurm_step + "\n" + inputs.cuda_visible_devices + "\n";
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  std::string digits(16, '0');
  for (std::size_t i = 16; i-- > 0; hash >>= 4) digits[i] = "0123456789abcdef"[hash & 15];
  return inputs.name + "-" + digits;
}

std::string key_of_process(AddressInputs inputs, const std::string& program_folder, int pid) {
  char real[PATH_MAX];
  struct stat info {};
  // A file that has been removed is still seen here.
  if (!realpath(program_folder.c_str(), real) || stat(("/proc/" + std::to_string(pid) + "/exe").c_str(), &info) != 0)
    return "";
  inputs.program = program_text(real, info);
  return address_key(inputs);
}

std::string runtime_folder() {
  std::string path = variable("CRYORED_RUNTIME_DIR");
  if (path.empty()) {
    const std::string session = variable("XDG_RUNTIME_DIR");
    path = !session.empty() && is_folder(session) ? without_slash(session) + "/cryored"
                                                  : "/tmp/cryored-" + std::to_string(getuid());
  }
  path = without_slash(path);
  if (path[0] != '/') refuse_folder(path, "a relative path");
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    throw SystemError(Problem{path, "runtime folder of cryored", std::strerror(errno), "a folder that can be created",
                              "create the folder above it, or name another one in CRYORED_RUNTIME_DIR"});
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) refuse_folder(path, std::strerror(errno));
  if (S_ISLNK(info.st_mode)) refuse_folder(path, "a symbolic link");
  if (!S_ISDIR(info.st_mode)) refuse_folder(path, "no folder");
  if (info.st_uid != getuid()) refuse_folder(path, "a folder of user " + std::to_string(info.st_uid));
  const unsigned mode = info.st_mode & 07777u;
  // A set-group-id bit may be inherited from the folder above and lets nobody in.
  if ((mode & 05777u) != 0700u) {
    const std::string octal = {static_cast<char>('0' + (mode >> 9)), static_cast<char>('0' + (mode >> 6 & 7)),
                               static_cast<char>('0' + (mode >> 3 & 7)), static_cast<char>('0' + (mode & 7))};
    refuse_folder(path, "mode " + octal);
  }
  return path;
}

Address find_address(const std::string& name, const std::string& program_folder) {
  const std::string key = address_key(address_inputs(name, program_folder));
  return {runtime_folder(), key};
}

sockaddr_un socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw SystemError(Problem{path, "socket", std::to_string(path.size()) + " bytes",
                              "a path of at most " + std::to_string(sizeof address.sun_path - 1) + " bytes",
                              "name a shorter folder in CRYORED_RUNTIME_DIR"});
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

DaemonLock::DaemonLock(const Address& address, int patience_ms, File file) : path_(address.lock()) {
  const auto fail = [&] {
    throw SystemError(Problem{path_, "lock of the daemon", std::strerror(errno), "a file that can be made and locked",
                              "check the folder, or name one on a local disk in CRYORED_RUNTIME_DIR"});
  };
  for (int waited = 0;;) {
    const int fd = open_lock(path_, file == File::create ? O_RDWR | O_CREAT : O_RDWR);
    if (fd < 0 && file == File::existing && errno == ENOENT) return;
    if (fd < 0) fail();
    if (lock_now(fd, LOCK_EX) == 0) {
      if (same_file(fd, path_)) {
        fd_ = fd;
        return;
      }
      close(fd);  // a daemon that was leaving has just removed it
      continue;
    }
    const int error = errno;
    close(fd);
    errno = error;
    if (error != EWOULDBLOCK) fail();
    if (waited >= patience_ms) return;
    const timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
    waited += 10;
  }
}

DaemonLock::~DaemonLock() {
  if (fd_ < 0) return;
  if (still_ours()) unlink(path_.c_str());
  close(fd_);
}

bool DaemonLock::still_ours() const { return fd_ >= 0 && same_file(fd_, path_); }

std::optional<bool> somebody_listens(const std::string& path) {
  const sockaddr_un name = socket_address(path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return std::nullopt;
  const int error = connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  close(fd);
  if (error == 0 || error == EAGAIN) return true;  // EAGAIN: too many callers at once
  if (error == ENOENT || error == ECONNREFUSED) return false;
  return std::nullopt;
}

bool daemon_lives(const Address& address) {
  if (const int fd = open_lock(address.lock(), O_RDONLY); fd >= 0) {
    // A shared lock, so that two who look do not take each other for a daemon.
    const bool locked = lock_now(fd, LOCK_SH) != 0 && errno == EWOULDBLOCK;
    close(fd);
    if (locked) return true;
  }
  // Cleaners of /tmp take an old lock from a daemon that lives, but not its socket.
  try {
    return somebody_listens(address.socket()).value_or(false);
  } catch (const SystemError&) {
    return false;
  }
}

}  // namespace cryored::daemon
