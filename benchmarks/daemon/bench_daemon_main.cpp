// ./dev bench daemon: what a request to a warm daemon costs beyond the computation itself, and what cryored-reconstruct
// costs by itself: start-up and libraries.

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "benchmarks/reconstruct/child_run.hpp"
#include "benchmarks/reconstruct/request_files.hpp"
#include "cli/run_program.hpp"
#include "core/base/error.hpp"

namespace cryored {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

CommandSpec command() {
  CommandSpec spec;
  spec.program = "bench_daemon";
  spec.summary = "Latency of a request to a warm daemon, start-up and libraries of cryored-reconstruct";
  spec.details =
      "Starts a daemon of its own, on the CPU, and runs cryored-reconstruct on one small request again and again. "
      "Added "
      "is, request by request, the time from before the plugin's fork to after its end, less the time that the daemon "
      "spent computing that request (reading and writing of the maps and of the record in it, as in a process that "
      "computes by itself). Times are those of a clock on the wall: on a machine that does other work they show that, "
      "too; "
      "the load is printed.";
  OptionSpec prior = tool_option("prior", OptionKind::choice, "NAME", "gaussian",
                                 "gaussian: no network, little to compute; red: the denoiser with its shipped weights");
  prior.choices = {"gaussian", "red"};
  spec.options = {
      tool_option("count", OptionKind::integer, "N", "1000", 10, 1e6, "requests"),
      tool_option("box", OptionKind::integer, "N", "32", 16, 512, "box of the map, at padding 1"), prior,
      tool_option("threads", OptionKind::integer, "N", "1", 1, 4096, "processors that a computation may use"),
      tool_option("json", OptionKind::flag, "", "no", "print JSON")};
  return spec;
}

struct Figures {
  double median = 0, p99 = 0, least = 0;
};

Figures figures_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto rank = [&](double share) {
    return values[static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1];
  };
  return {rank(0.5), rank(0.99), values.front()};
}

Json json_of(const Figures& f) {
  return {{"median_ms", 1e3 * f.median}, {"p99_ms", 1e3 * f.p99}, {"least_ms", 1e3 * f.least}};
}

void print(const std::string& name, const Figures& f) {
  std::cout << fmt::format("  {:46} {:9.2f} {:9.2f} {:9.2f}\n", name, 1e3 * f.median, 1e3 * f.p99, 1e3 * f.least);
}

std::string load_text() {
  double load[1] = {0};
  return getloadavg(load, 1) == 1 ? fmt::format("{:.1f}", load[0]) : "unknown";
}

/// A folder that goes with its daemon; after an error it stays without one.
class Place {
 public:
  explicit Place(std::string programs) : programs_(std::move(programs)) {
    std::string name = (fs::temp_directory_path() / "cryored_bench_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw SystemError(Problem{name, "folder", "cannot be made", "a writable temporary folder", "set TMPDIR"});
    folder_ = name;
    setenv("CRYORED_RUNTIME_DIR", (folder_ + "/run").c_str(), 1);
    setenv("CRYORED_NO_DAEMON", "no", 1);
    for (const char* other : {"CRYORED_CONFIG", "CRYORED_DAEMON_NAME"}) unsetenv(other);
  }
  ~Place() {
    try {
      if (started_) run_child({programs_ + "/cryored", "daemon", "--stop"}, folder_, log());
    } catch (const Error& error) {
      std::cerr << "bench_daemon: " << error.what() << "\n";
    }
    if (std::uncaught_exceptions() > 0) return;  // the message names files in it
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void start() {
    started_ = true;
    run_child({programs_ + "/cryored", "daemon", "--background", "--device", "cpu", "--log", events()}, folder_, log());
  }
  const std::string& folder() const { return folder_; }
  std::string log() const { return folder_ + "/output"; }
  std::string events() const { return folder_ + "/events"; }

  /// Seconds of computing, of each request that was done, in order.
  std::vector<double> computed() const {
    std::vector<double> seconds;
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().filename().string().rfind("events", 0) == 0) names.push_back(entry.path().string());
    // "events" is the newest, a rotated "events.1" is older, and so on.
    std::sort(names.rbegin(), names.rend());
    for (const auto& name : names) {
      std::ifstream file(name);
      for (std::string line; std::getline(file, line);) {
        const Json event = Json::parse(line, nullptr, false);
        if (event.is_object() && event.value("event", "") == "request.done") seconds.push_back(event["seconds"]);
      }
    }
    return seconds;
  }

 private:
  std::string programs_, folder_;
  bool started_ = false;
};

/// Seconds of a call that ends at a wrong value: everything up to the connection, and the end.
double start_up(const std::string& plugin, const std::string& log) {
  const std::vector<std::string> words{plugin, "--connect-timeout=0", "none.star"};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const auto start = std::chrono::steady_clock::now();
  pid_t pid = 0;
  int status = 0;
  const bool ended = posix_spawn(&pid, plugin.c_str(), &actions, nullptr, arguments.data(), environ) == 0 &&
                     waitpid(pid, &status, 0) == pid;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  posix_spawn_file_actions_destroy(&actions);
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 2)
    throw SystemError(
        Problem{plugin, "end of a call with a wrong value", std::to_string(status), "exit status 2", "build it again"});
  return wall.count();
}

/// Names of the libraries that the dynamic linker loads for it, from ldd.
std::vector<std::string> libraries_of(const std::string& program) {
  std::vector<std::string> names;
  FILE* pipe = popen(("ldd '" + program + "'").c_str(), "r");
  if (!pipe) return names;
  char line[4096];
  while (std::fgets(line, sizeof line, pipe)) {
    const std::string text = line;
    const auto from = text.find_first_not_of(" \t");
    if (from != text.npos) names.push_back(text.substr(from, text.find_first_of(" \n", from) - from));
  }
  pclose(pipe);
  return names;
}

struct Measured {
  std::vector<double> wall, added, computing, start;
  std::map<std::string, std::vector<double>> stages;
  double helper = 0;  ///< the same request in a helper process, start included: least of a few
};

Measured measure(const Place& place, const std::string& programs, const Settings& settings, const std::string& star) {
  const std::string plugin = programs + "/cryored-reconstruct";
  const std::string record = (fs::path(place.folder()) / result_name()).replace_extension().string() + "_cryored.json";
  std::vector<std::string> words{plugin, "--prior", settings.text("prior"), "--threads", settings.text("threads"),
                                 star};
  Measured m;
  const auto once = [&](const std::vector<std::string>& call) {
    return run_child(call, place.folder(), place.log()).wall;
  };
  constexpr int warming = 3;
  for (int i = 0; i < warming; ++i) once(words);
  for (long i = 0; i < settings.integer("count"); ++i) {
    m.wall.push_back(once(words));
    std::ifstream file(record);
    const Json json = Json::parse(file, nullptr, false);
    if (!json.is_object() || json["served_by"].is_null())
      throw SystemError(Problem{record, "served_by", "nothing", "the daemon", "see " + place.log()});
    for (const auto& [name, seconds] : json["timings_s"].items()) m.stages[name].push_back(seconds);
  }
  // The daemon writes its log after it has answered.
  for (int i = 0; i < 100 && m.computing.size() != m.wall.size() + warming; ++i, usleep(20000))
    m.computing = place.computed();
  if (m.computing.size() != m.wall.size() + warming)
    throw SystemError(Problem{place.events(), "requests that were done", std::to_string(m.computing.size()),
                              std::to_string(m.wall.size() + warming), "fewer requests (--count)"});
  m.computing.erase(m.computing.begin(), m.computing.begin() + warming);
  for (std::size_t i = 0; i < m.wall.size(); ++i) m.added.push_back(m.wall[i] - m.computing[i]);
  words.insert(words.begin() + 1, "--no-daemon");
  m.helper = 1e9;
  for (int i = 0; i < 5; ++i) m.helper = std::min(m.helper, once(words));
  for (int i = 0; i < 200; ++i) m.start.push_back(start_up(plugin, place.log()));
  return m;
}

int run(const Settings& settings) {
  const std::string programs = fs::canonical("/proc/self/exe").parent_path().string();
  const std::string plugin = programs + "/cryored-reconstruct";
  for (const auto& program : {plugin, programs + "/cryored"})
    if (!fs::exists(program))
      throw SystemError(Problem{program, "program", "missing", "one beside this benchmark", "./dev build"});
  Place place(programs);
  const auto box = static_cast<int>(settings.integer("box"));
  const std::string star = write_request_files({place.folder(), box, 1, 2});
  const std::string load_before = load_text();
  place.start();
  const Measured m = measure(place, programs, settings, star);
  const std::string load = load_before + " before, " + load_text() + " after";
  const auto libraries = libraries_of(plugin);

  Json json{{"count", m.wall.size()},
            {"box", box},
            {"prior", settings.text("prior")},
            {"threads", settings.integer("threads")},
            {"processors", sysconf(_SC_NPROCESSORS_ONLN)},
            {"load", load},
            {"plugin", json_of(figures_of(m.wall))},
            {"computing", json_of(figures_of(m.computing))},
            {"added", json_of(figures_of(m.added))}};
  for (const auto& [name, seconds] : m.stages) json["stages"][name] = json_of(figures_of(seconds));
  json["helper_process_least_ms"] = 1e3 * m.helper;
  json["start_up"] = json_of(figures_of(m.start));
  json["libraries"] = libraries;
  if (settings.flag("json")) {
    std::cout << json.dump(1) << "\n";
    return 0;
  }
  std::cout << fmt::format("{} requests, box {}, --prior {}, {} thread(s); {} processors, load {}\n", m.wall.size(),
                           box, settings.text("prior"), settings.integer("threads"), sysconf(_SC_NPROCESSORS_ONLN),
                           load)
            << fmt::format("  {:46} {:>9} {:>9} {:>9}\n", "ms", "median", "99 %", "least");
  print("cryored-reconstruct, from fork to end", figures_of(m.wall));
  print("the daemon's computation in it", figures_of(m.computing));
  print("added (aim: median of at most 5)", figures_of(m.added));
  for (const auto& [name, seconds] : m.stages) print("  of the computation: " + name, figures_of(seconds));
  std::cout << fmt::format("  {:46} {:9} {:9} {:9.2f}\n", "the same by --no-daemon, least of 5", "", "",
                           1e3 * m.helper);
  print("cryored-reconstruct alone (aim: less than 10)", figures_of(m.start));
  std::cout << "  it links";
  for (const auto& name : libraries) std::cout << " " << name;
  std::cout << "\n";
  return 0;
}

}  // namespace
}  // namespace cryored

int main(int argc, char** argv) { return cryored::run_tool(cryored::command(), argc, argv, cryored::run); }
