// The real cryored daemon on real requests: what it computes is what cryored reconstruct computes.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"
#include "tests/daemon/http_client.hpp"

namespace cryored_test {
namespace {

using Json = nlohmann::json;

class DaemonTest : public ReconstructTest {
 protected:
  DaemonTest() { files.pixel_size = 3; }
  Invocation daemon(std::vector<std::string> words = {}) const {
    Invocation invocation;
    invocation.words = {cryored(), "daemon", "--device", "cpu"};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    invocation.environment["CRYORED_RUNTIME_DIR"] = runtime / "run";
    return invocation;
  }
  std::string socket() const {
    for (int i = 0; i < 2000; ++i, usleep(5000))
      if (std::filesystem::is_directory(runtime / "run"))
        for (const auto& file : std::filesystem::directory_iterator(runtime / "run"))
          if (file.path().extension() == ".json")
            return file.path().string().substr(0, file.path().string().size() - 5) + ".sock";
    return "";
  }
  std::string body(const std::vector<std::string>& words, const Json& environment = Json::object()) const {
    return Json{{"protocol", 1},
                {"id", "00000000000000aa"},
                {"words", words},
                {"cwd", scratch.path()},
                {"environment", environment}}
        .dump();
  }
  /// The event `done`.
  Json ask(const std::string& path, const std::vector<std::string>& words,
           const Json& environment = Json::object()) const {
    Client client(path);
    client.post("/v1/reconstruct", body(words, environment));
    const std::string all = client.read_all();
    const auto at = all.find("{\"event\":\"done\"");
    if (at == std::string::npos) return {{"exit", -1}, {"stderr", all}};
    return Json::parse(all.substr(at, all.find('\n', at) - at));
  }
  ScratchFolder runtime;
};

TEST_F(DaemonTest, TheMapIsThatOfReconstructBitForBit) {
  files.written_folder = ".";  // RELION's paths are relative to its working directory
  files.fsc_crossing = 8.1;
  files.write();
  const std::vector<std::string> words{"--weights", CRYORED_TEST_RANDOM_WEIGHTS, "--threads", "2", "--device", "cpu"};
  const Outcome alone = run(call(words));
  ASSERT_EQ(alone.code, 0) << alone.err;
  const std::string map = read_file(files.result());
  const Json record = Json::parse(read_file(files.record()));
  std::filesystem::remove(files.result());

  const Process process(daemon());
  const std::string path = socket();
  std::vector<std::string> asked = words;
  asked.push_back(files.star().substr(scratch.path().size() + 1));
  for (int round = 0; round < 2; ++round) {
    const Json done = ask(path, asked);
    ASSERT_EQ(done["exit"], 0) << done;
    EXPECT_EQ(done["stdout"].get<std::string>().rfind(
                  "cryored: run_it004_half1_class001: denoiser ran on CPU (2 threads)", 0),
              0u)
        << done;
    EXPECT_EQ(read_file(files.result()), map) << "round " << round;
    std::filesystem::remove(files.result());
  }
  const Json served = Json::parse(read_file(files.record()));
  EXPECT_EQ(served["served_by"]["request"], "00000000000000aa");
  EXPECT_EQ(served["served_by"]["pid"], process.pid());
  EXPECT_TRUE(record["served_by"].is_null());
  EXPECT_EQ(served["denoiser"], record["denoiser"]);
  EXPECT_EQ(served["working_directory"], scratch.path());
  EXPECT_EQ(served["request"]["star"], files.star().substr(scratch.path().size() + 1)) << "as the caller wrote it";
  Client client(path);
  client.get("/v1/status");
  const std::string status = client.read_all();
  EXPECT_NE(status.find("\"passes\":2"), std::string::npos) << "the network was loaded once: " << status;
}

TEST_F(DaemonTest, OptionsComeFromTheCallerNotFromTheDaemon) {
  files.write();
  write_file(scratch / "cryored.conf", "fsc-threshold = 0.5\n");
  Invocation invocation = daemon();
  invocation.environment["CRYORED_LAMBDA"] = "0.75";
  const Process process(invocation);
  const std::string path = socket();
  const Json done = ask(path, {files.star(), "--weights=builtin:identity"}, {{"CRYORED_PRIOR", "red"}});
  ASSERT_EQ(done["exit"], 0) << done;
  const Json options = Json::parse(read_file(files.record()))["options"];
  EXPECT_EQ(options["prior"]["source"], "environment variable CRYORED_PRIOR");
  EXPECT_TRUE(options["lambda"]["value"].is_null());
  EXPECT_EQ(options["fsc-threshold"]["source"], "cryored.conf:1");
}

TEST_F(DaemonTest, ErrorsAreThoseOfTheProgram) {
  files.write();
  const Process process(daemon());
  const std::string path = socket();
  const Json misuse = ask(path, {files.star(), "--lamda", "1"});
  EXPECT_EQ(misuse["exit"], 2);
  EXPECT_NE(misuse["stderr"].get<std::string>().find("did you mean --lambda?"), std::string::npos);
  const Json missing = ask(path, {"nothing.star"});
  EXPECT_EQ(missing["exit"], 1);
  EXPECT_EQ(missing["stderr"].get<std::string>().rfind("cryored: error: ", 0), 0u);
  const Json gpu = ask(path, {files.star(), "--device", "cuda"});
  EXPECT_EQ(gpu["exit"], 1);
  EXPECT_NE(gpu["stderr"].get<std::string>().find("a device of the daemon: cpu"), std::string::npos) << gpu;
  Client client(path);
  client.get("/v1/status");
  const std::string answer = client.read_all();
  const Json jobs = Json::parse(answer.substr(answer.find("\r\n\r\n") + 4))["jobs"];
  ASSERT_EQ(jobs.size(), 2u) << "what was refused is seen too: " << jobs;
  EXPECT_EQ(jobs[0]["job"], files.star().substr(0, files.star().rfind("_it004")));
  EXPECT_EQ(jobs[0]["failed"], 2);
  EXPECT_EQ(jobs[0]["recent"][0]["iteration"], 4);
  EXPECT_EQ(jobs[0]["last_error"],
            gpu["stderr"].get<std::string>().substr(0, gpu["stderr"].get<std::string>().find('\n')));
  EXPECT_EQ(jobs[1]["recent"][0]["map"], "nothing.star");
  EXPECT_FALSE(exists(files.result()));
}

TEST_F(DaemonTest, FilesHaveTheModeThatTheCallerWouldGiveThem) {
  files.write();
  const Process process(daemon());
  const std::string path = socket();
  const auto mode_of = [](const std::string& file) {
    struct stat info {};
    return stat(file.c_str(), &info) == 0 ? info.st_mode & 0777 : 0u;
  };
  for (const auto& [umask, mode] : {std::pair{"002", 0664u}, {"077", 0600u}, {"0027", 0640u}}) {
    Json request = Json::parse(body({files.star(), "--prior", "gaussian"}));
    request["umask"] = umask;
    Client client(path);
    client.post("/v1/reconstruct", request.dump());
    ASSERT_NE(client.read_all().find("\"exit\":0"), std::string::npos);
    EXPECT_EQ(mode_of(files.result()), mode) << umask;
    EXPECT_EQ(mode_of(files.record()), mode) << umask;
  }
  std::string json = path;
  json.replace(json.size() - 5, 5, ".json");
  EXPECT_EQ(mode_of(json), 0600u);
}

TEST_F(DaemonTest, AClientThatGoesLeavesNoFile) {
  files.write();
  const auto before = scratch.names();
  const Process process(daemon());
  const std::string path = socket();
  {
    Client client(path);
    client.post("/v1/reconstruct", body({files.star(), "--prior", "red", "--weights", "builtin:wait=3600"}));
    client.read_until("started");
  }
  const Json done = ask(path, {files.star(), "--prior", "gaussian"});
  EXPECT_EQ(done["exit"], 0) << "the device is free again";
  std::filesystem::remove(files.result());
  std::filesystem::remove(files.record());
  EXPECT_EQ(scratch.names(), before);
}

TEST_F(DaemonTest, OfTwoThatStartOneServes) {
  Process one(daemon()), two(daemon());
  const std::string path = socket();
  ASSERT_NE(path, "");
  Invocation stop = daemon({"--stop"});
  stop.words = {cryored(), "daemon", "--stop"};
  int serves = 0;
  for (int i = 0; i < 200 && serves == 0; ++i, usleep(10000)) serves = Client(path).connected();
  usleep(600000);  // the loser looks at the lock for 0.3 s
  EXPECT_EQ(run(stop).code, 0);
  const Outcome a = one.wait(), b = two.wait();
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_EQ(b.code, 0) << b.err;
  const bool first_lost = a.out.find("serves as") != std::string::npos;
  const bool second_lost = b.out.find("serves as") != std::string::npos;
  EXPECT_NE(first_lost, second_lost) << a.out << b.out;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(runtime / "run"), {}), 0) << "nothing stays";
}

TEST_F(DaemonTest, WhatIsOfStopStartsNoDaemon) {
  for (const char* word : {"--all", "--drain"})
    for (const char* beside : {"--background", "--no-background"}) {
      const Outcome outcome = run(daemon({word, beside}));
      EXPECT_EQ(outcome.code, 2) << outcome.out;
      EXPECT_NE(outcome.err.find(std::string(word) + ": found no --stop"), std::string::npos) << outcome.err;
    }
}

TEST_F(DaemonTest, StopGoesOnAfterADaemonThatDoesNotAnswer) {
  const Process process(daemon());
  std::string json = socket();
  ASSERT_NE(json, "");
  json.replace(json.size() - 5, 5, ".json");
  // Asked before the other one, for its key is smaller: its lock is held, and nobody listens.
  const std::string silent = runtime / "run/default-0000000000000000";
  write_file(silent + ".json", "{\"pid\": 4711}");
  write_file(silent + ".lock", "");
  const int lock = open((silent + ".lock").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  Invocation stop = daemon();
  stop.words = {cryored(), "daemon", "--stop", "--all"};
  stop.environment["CUDA_VISIBLE_DEVICES"] = "7";  // another key than the daemon's
  const Outcome outcome = run(stop);
  EXPECT_EQ(outcome.code, 1) << outcome.out;
  EXPECT_NE(outcome.err.find("default-0000000000000000.sock, pid 4711: "), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out.find(std::filesystem::path(json).stem().string() + " leaves"), std::string::npos);
  for (int i = 0; i < 1000 && exists(json); ++i) usleep(10000);
  EXPECT_FALSE(exists(json));
  close(lock);
  EXPECT_EQ(run(stop).code, 0) << "a lock that is free is no daemon's";
}

TEST_F(DaemonTest, StopThatEndsNoneNamesThoseOfOtherNames) {
  Process process(daemon({"--daemon-name", "watch"}));
  ASSERT_NE(socket(), "");
  Invocation stop = daemon();
  stop.words = {cryored(), "daemon", "--stop"};
  const Outcome none = run(stop);
  EXPECT_EQ(none.code, 0) << none.err;
  EXPECT_EQ(none.out.rfind("no daemon default-", 0), 0u) << none.out;
  EXPECT_NE(none.out.find("; of other names: watch-"), std::string::npos) << none.out;
  EXPECT_NE(none.out.find(", pid " + std::to_string(process.pid()) + "; "), std::string::npos) << none.out;
  stop.words.insert(stop.words.end(), {"--daemon-name", "watch"});
  EXPECT_NE(run(stop).out.find(" leaves\n"), std::string::npos);
  EXPECT_EQ(process.wait().code, 0);
}

TEST_F(DaemonTest, WhatACleanerTookDoesNotHideIt) {
  Process process(daemon());
  const std::string path = socket(), base = path.substr(0, path.size() - 5);
  ASSERT_NE(path, "");
  for (const char* ending : {".lock", ".json"}) ASSERT_TRUE(std::filesystem::remove(base + ending)) << ending;
  Invocation look = daemon();
  look.words = {cryored(), "status"};
  const Outcome status = run(look);
  EXPECT_EQ(status.code, 0) << status.out;
  EXPECT_NE(status.out.find(": serving, pid " + std::to_string(process.pid())), std::string::npos) << status.out;
  look.words = {cryored(), "daemon", "--stop"};
  const Outcome stop = run(look);
  EXPECT_NE(stop.out.find(" leaves\n"), std::string::npos) << stop.out;
  EXPECT_EQ(process.wait().code, 0);
}

TEST_F(DaemonTest, InTheBackgroundItHoldsNothingOfItsStarter) {
  Invocation start = daemon({"--background"});
  start.environment["OMPI_COMM_WORLD_LOCAL_SIZE"] = "3";
  const Outcome outcome = run(start);  // returns only when every holder of its pipes is gone
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("serves on CPU"), std::string::npos) << outcome.out;
  std::string json = socket();
  json.replace(json.size() - 5, 5, ".json");
  const int pid = Json::parse(read_file(json))["pid"].get<int>();
  EXPECT_EQ(getsid(pid) == getsid(0), false);
  const std::string variables = read_file("/proc/" + std::to_string(pid) + "/environ");
  EXPECT_EQ(variables.find("OMPI_"), std::string::npos);
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/cwd"), "/");
  EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/1"), "/dev/null");
  const std::string log = Json::parse(read_file(json))["log"];
  EXPECT_EQ(std::filesystem::path(log).parent_path(), runtime / "run");
  EXPECT_EQ(Json::parse(read_file(log).substr(0, read_file(log).find('\n')))["event"], "daemon.started");
  EXPECT_EQ(run(daemon({"--background"})).out.find("another daemon serves"), 0u);
  kill(pid, SIGTERM);
  for (int i = 0; i < 1000 && exists(json); ++i) usleep(10000);
  EXPECT_FALSE(exists(json));
}

TEST_F(DaemonTest, InTheBackgroundFromAProcessWithoutDescriptors) {
  for (const char* closed : {"<&- >&-", "<&- >&- 2>&-", ">&-"}) {
    Invocation start = daemon({"--background"});
    start.words = {"sh", "-c", "\"$0\" daemon --device cpu --background " + std::string(closed), cryored()};
    start.timeout = 30;
    EXPECT_EQ(run(start).code, 0) << closed << ": it hangs";
    std::string json = socket();
    ASSERT_NE(json, "") << closed;
    json.replace(json.size() - 5, 5, ".json");
    start.words = {cryored(), "daemon", "--stop"};
    EXPECT_EQ(run(start).code, 0);
    for (int i = 0; i < 1000 && exists(json); ++i) usleep(10000);
  }
}

// A config file speaks to every daemon of the user, and only one of them can have the port.
TEST_F(DaemonTest, AMetricsPortThatIsTakenStopsOnlyWhoAsksForItByName) {
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  ASSERT_EQ(bind(taken, reinterpret_cast<const sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&name), &size), 0);
  const std::string port = std::to_string(ntohs(name.sin_port));
  for (const char* where : {"--foreground", "--background"}) {
    std::vector<std::string> words{"--metrics-port", port};
    if (where == std::string("--background")) words.emplace_back(where);
    const Outcome refused = run(daemon(words));
    EXPECT_EQ(refused.code, 1) << refused.err;
    EXPECT_NE(refused.err.find("command line: metrics-port of 127.0.0.1: found " + port), std::string::npos)
        << refused.err;
  }
  write_file(scratch / "cryored.conf", "metrics-port = " + port + "\n");
  Invocation start = daemon({"--background"});
  start.folder = scratch.path();
  const Outcome started = run(start);
  ASSERT_EQ(started.code, 0) << started.err;
  start.words = {cryored(), "status"};
  const Outcome status = run(start);
  EXPECT_NE(status.out.find("warning  no metrics port: cryored.conf:1: metrics-port of 127.0.0.1: found " + port),
            std::string::npos)
      << status.out;
  close(taken);
  std::string seen;
  for (int i = 0; i < 300 && seen.find("  metrics  http://127.0.0.1:" + port) == std::string::npos; ++i, usleep(100000))
    seen = run(start).out;
  EXPECT_NE(seen.find("  metrics  http://127.0.0.1:" + port + "/metrics\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("warning"), std::string::npos) << seen;
  start.words = {cryored(), "daemon", "--stop"};
  EXPECT_EQ(run(start).code, 0);
}

TEST_F(DaemonTest, FlagsThatAreOffMayBeSaidInTheBackground) {
  Invocation start =
      daemon({"--background", "--no-stop", "--no-drain", "--no-all", "--no-watch", "--no-despite-broken-gpus"});
  const Outcome started = run(start);
  EXPECT_EQ(started.code, 0) << started.err;
  start.words = {cryored(), "daemon", "--stop"};
  EXPECT_NE(run(start).out.find(" leaves\n"), std::string::npos);
}

TEST_F(DaemonTest, OptionsOfWhoeverStartsItHoldInTheBackground) {
  write_file(scratch / "cryored.conf", "threads = 1\n");
  write_file(scratch / "named.conf", "idle-timeout = 77\n");
  Invocation start = daemon({"--background"});
  start.folder = scratch.path();
  ASSERT_EQ(run(start).out.find("serves on CPU (1 thread)") == std::string::npos, false);
  std::string json = socket();
  json.replace(json.size() - 5, 5, ".json");
  EXPECT_EQ(Json::parse(read_file(json))["idle_timeout_s"], 900);
  start.words = {cryored(), "daemon", "--stop"};
  EXPECT_EQ(run(start).code, 0);
  for (int i = 0; i < 1000 && exists(json); ++i) usleep(10000);
  start.words = {cryored(), "daemon", "--background", "--log", "my.log"};
  start.environment["CRYORED_CONFIG"] = "named.conf";
  ASSERT_EQ(run(start).code, 0);
  EXPECT_EQ(Json::parse(read_file(json))["idle_timeout_s"], 77);
  EXPECT_EQ(Json::parse(read_file(json))["log"], scratch / "my.log");
  EXPECT_TRUE(exists(scratch / "my.log"));
  start.words = {cryored(), "daemon", "--stop"};
  EXPECT_EQ(run(start).code, 0);
}

}  // namespace
}  // namespace cryored_test
