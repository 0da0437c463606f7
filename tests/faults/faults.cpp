#include "tests/faults/faults.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace cryored_test {

namespace fs = std::filesystem;

void sleep_ms(int milliseconds) { usleep(static_cast<useconds_t>(milliseconds) * 1000); }

std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  for (const ProcessEntry& process : processes())
    if (process.state != 'Z') children.emplace(process.parent, process.pid);
  std::vector<pid_t> all{getpid()};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto [from, to] = children.equal_range(all[i]);
    for (auto at = from; at != to; ++at) all.push_back(at->second);
  }
  all.erase(all.begin());
  return all;
}

std::string command_line(pid_t pid) {
  std::string text = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

int open_files(pid_t pid) {
  std::error_code error;
  const fs::directory_iterator files("/proc/" + std::to_string(pid) + "/fd", error);
  return error ? -1 : static_cast<int>(std::distance(begin(files), end(files)));
}

long resident_kb(pid_t pid) {
  std::istringstream status(read_file("/proc/" + std::to_string(pid) + "/status"));
  for (std::string word; status >> word;)
    if (word == "VmRSS:") {
      long kb = -1;
      status >> kb;
      return kb;
    }
  return -1;
}

FaultTest::FaultTest() {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  files.box = 16;
  files.current_size = 12;
  files.particle_diameter = 40;
}

FaultTest::~FaultTest() {
  for (const pid_t pid : descendants()) kill(pid, SIGKILL);
  for (int i = 0; i < 200 && !children_of(getpid()).empty(); ++i) {
    for (const pid_t pid : descendants()) kill(pid, SIGKILL);
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    sleep_ms(5);
  }
}

void FaultTest::report(const std::string& fault, long count, const std::string& outcome) {
  if (testing::Test::HasFailure()) return;
  std::printf("FAULT|%s|%ld|%s\n", fault.c_str(), count, outcome.c_str());
  std::fflush(stdout);
}

Invocation FaultTest::daemon(const std::vector<std::string>& words) const {
  Invocation invocation;
  invocation.words = {cryored(), "daemon", "--device", "cpu", "--threads", "1", "--log", runtime / "log"};
  invocation.words.insert(invocation.words.end(), words.begin(), words.end());
  invocation.environment["CRYORED_RUNTIME_DIR"] = folder_of_daemon();
  invocation.timeout = 600;
  return invocation;
}

std::unique_ptr<Process> FaultTest::start_daemon(const Invocation& invocation) {
  auto process = std::make_unique<Process>(invocation);
  for (int i = 0; i < 4000; ++i, sleep_ms(5))
    if (!status().is_null()) return process;
  ADD_FAILURE() << "no daemon";
  return process;
}

std::string FaultTest::file_of_daemon(const std::string& ending) const {
  for (int i = 0; i < 4000; ++i, sleep_ms(5)) {
    std::error_code error;
    for (fs::directory_iterator at(folder_of_daemon(), error), end; !error && at != end; at.increment(error))
      if (at->path().extension() == ending && at->path().filename().string()[0] != '.') return at->path();
  }
  return "";
}

Json FaultTest::status() const {
  std::error_code error;
  std::string path;
  for (fs::directory_iterator at(folder_of_daemon(), error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".sock") path = at->path();
  if (path.empty()) return nullptr;
  Client client(path);
  if (!client.connected()) return nullptr;
  client.get("/v1/status");
  const std::string all = client.read_all();
  const auto start = all.find("\r\n\r\n");
  if (all.rfind("HTTP/1.1 200", 0) != 0 || start == std::string::npos) return nullptr;
  return Json::parse(all.substr(start + 4), nullptr, false);
}

Json FaultTest::settled() const {
  Json now;
  for (int i = 0; i < 4000; ++i, sleep_ms(5)) {
    now = status();
    if (now.is_object() && now["requests"].empty() && now["daemon"]["connections"] == 1) return now;
  }
  ADD_FAILURE() << "the daemon does not come to rest: " << now;
  return now;
}

std::vector<pid_t> FaultTest::daemons() const {
  // A daemon in the background has lost its parent and is a child of this process now; one that a test started is so
  // anyway. Asking for all processes of the machine each time would take long on a busy one.
  std::vector<pid_t> children, found;
  std::ifstream list("/proc/self/task/" + std::to_string(getpid()) + "/children");
  if (list)
    for (pid_t child; list >> child;) children.push_back(child);
  else
    children = descendants();
  for (const pid_t pid : children) {
    const std::string words = command_line(pid);
    if (words.find("cryored daemon ") != std::string::npos && words.find("--background") == std::string::npos)
      found.push_back(pid);
  }
  return found;
}

void FaultTest::write_request(const std::vector<std::string>& options) {
  files.write();
  options_ = options;
  own_names_ = scratch.names();
  Invocation alone;
  alone.words = {cryored(), "reconstruct", "--threads", "1"};
  alone.words.insert(alone.words.end(), options.begin(), options.end());
  alone.words.push_back(files.star());
  const Outcome outcome = run(alone);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  expected = read_file(files.result());
  ASSERT_GT(expected.size(), 1024u);
  fs::remove(files.result());
  fs::remove(files.record());
}

std::string FaultTest::body(const std::vector<std::string>& words) const {
  return Json{{"protocol", 1},
              {"id", "00000000000000aa"},
              {"words", words},
              {"cwd", scratch.path()},
              {"environment", Json::object()}}
      .dump();
}

Json FaultTest::ask(const std::vector<std::string>& words) const {
  Client client(file_of_daemon(".sock"));
  client.post("/v1/reconstruct", body(words));
  const std::string all = client.read_all();
  const auto at = all.find("{\"event\":\"done\"");
  if (at == std::string::npos) return {{"exit", -1}, {"stderr", all}};
  return Json::parse(all.substr(at, all.find('\n', at) - at));
}

Json FaultTest::ask() const {
  std::vector<std::string> words = options_;
  words.insert(words.end(), {"--threads", "1", files.star()});
  return ask(words);
}

Invocation FaultTest::plugin_call(const std::vector<std::string>& more) const {
  Invocation invocation = call({"--threads", "1"});
  invocation.environment["CRYORED_NO_DAEMON"] = "no";
  invocation.words.insert(invocation.words.begin() + 1, options_.begin(), options_.end());
  invocation.words.insert(invocation.words.begin() + 1, more.begin(), more.end());
  invocation.environment["CRYORED_RUNTIME_DIR"] = folder_of_daemon();
  return invocation;
}

bool FaultTest::take_map() const {
  const bool right = exists(files.result()) && read_file(files.result()) == expected;
  fs::remove(files.result());
  fs::remove(files.record());
  return right;
}

std::vector<std::string> FaultTest::litter() const {
  std::vector<std::string> names;
  for (const auto& name : scratch.names()) {
    const std::string path = scratch / name;
    const bool own = std::find(own_names_.begin(), own_names_.end(), name) != own_names_.end();
    if (!own && path != files.result() && path != files.record()) names.push_back(name);
  }
  return names;
}

}  // namespace cryored_test
