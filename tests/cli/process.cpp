#include "tests/cli/process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace cryored_test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void become(const Invocation& invocation, int out, int err) {
  dup2(out, 1);
  dup2(err, 2);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  if (!invocation.folder.empty() && chdir(invocation.folder.c_str()) != 0) _exit(126);
  if (invocation.file_size_limit >= 0) {
    const rlimit limit{static_cast<rlim_t>(invocation.file_size_limit),
                       static_cast<rlim_t>(invocation.file_size_limit)};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  // Another user might not reach a build folder below /root; root without these rights obeys the modes of its files.
  if (invocation.obey_permissions && geteuid() == 0)
    for (const int right : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH})
      if (prctl(PR_CAPBSET_DROP, right, 0, 0, 0) != 0) _exit(126);
  const char* path = getenv("PATH");
  std::vector<std::string> variables{std::string("PATH=") + (path ? path : "/usr/bin:/bin"), "HOME=/nonexistent",
                                     "LC_ALL=C.UTF-8", "CRYORED_NO_DAEMON=yes"};
  for (const char* kept : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_LIBRARY_PATH"})
    if (const char* value = getenv(kept)) variables.push_back(std::string(kept) + "=" + value);
  for (const auto& [name, value] : invocation.environment) {
    std::erase_if(variables, [&, key = name + "="](const std::string& text) { return text.rfind(key, 0) == 0; });
    variables.push_back(name + "=" + value);
  }
  std::vector<char*> environment, words;
  for (auto& text : variables) environment.push_back(text.data());
  environment.push_back(nullptr);
  std::vector<std::string> copies = invocation.words;
  for (auto& text : copies) words.push_back(text.data());
  words.push_back(nullptr);
  execvpe(words[0], words.data(), environment.data());
  _exit(127);
}

}  // namespace

Process::Process(const Invocation& invocation) : timeout_(invocation.timeout) {
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork");
  if (pid_ == 0) become(invocation, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  out_ = out[0];
  err_ = err[0];
}

Process::~Process() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

void Process::send(int signal) const { kill(pid_, signal); }

Outcome Process::wait() {
  Outcome outcome;
  const auto start = Clock::now();
  pollfd ends[2] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  int open_ends = 2;
  while (open_ends > 0) {
    const double left = timeout_ - seconds_since(start);
    if (left <= 0 || poll(ends, 2, static_cast<int>(left * 1000) + 1) == 0) {
      kill(pid_, SIGKILL);
      outcome.err += "[killed by the test after its time limit]";
      break;
    }
    for (int i = 0; i < 2; ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t count = read(ends[i].fd, buffer, sizeof buffer);
      if (count > 0) {
        (i == 0 ? outcome.out : outcome.err).append(buffer, static_cast<std::size_t>(count));
      } else {
        ends[i].fd = -1;
        --open_ends;
      }
    }
  }
  int status = 0;
  rusage usage{};
  wait4(pid_, &status, 0, &usage);
  pid_ = -1;
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  outcome.processor_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  outcome.seconds = seconds_since(start);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

Outcome run(const Invocation& invocation) {
  Process process(invocation);
  return process.wait();
}

ScratchFolder::ScratchFolder(const std::string& infix) {
  const char* base = getenv("TMPDIR");
  std::string pattern = std::string(base && *base ? base : "/tmp") + "/cryored-test-" + infix + "XXXXXX";
  if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp " + pattern);
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::vector<std::string> ScratchFolder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << text) || !file.flush()) throw std::runtime_error("cannot write " + path);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool exists(const std::string& path) { return fs::exists(path); }

std::vector<ProcessEntry> processes() {
  std::vector<ProcessEntry> all;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string text = read_file("/proc/" + name + "/stat");
    const auto bracket = text.rfind(')');
    if (bracket == std::string::npos) continue;
    std::istringstream rest(text.substr(bracket + 1));
    ProcessEntry process;
    process.pid = std::stoi(name);
    rest >> process.state >> process.parent;
    all.push_back(process);
  }
  return all;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const ProcessEntry& process : processes())
    if (process.parent == parent) children.push_back(process.pid);
  return children;
}

}  // namespace cryored_test
