// cryored-reconstruct through the real daemon, as RELION runs it: started by the first call, shared by the next ones.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/cli/reconstruct_fixture.hpp"

namespace cryored_test {
namespace {

using Json = nlohmann::json;

class PluginThroughDaemon : public ReconstructTest {
 protected:
  ~PluginThroughDaemon() override {
    if (const int pid = daemon_pid(); pid > 0) kill(pid, SIGKILL);
  }
  Invocation plugin_call(std::vector<std::string> words = {}) const {
    Invocation invocation = call(std::move(words));
    invocation.environment["CRYORED_NO_DAEMON"] = "no";
    invocation.environment["CRYORED_RUNTIME_DIR"] = runtime / "run";
    invocation.environment["CRYORED_DEVICE"] = "cpu";
    return invocation;
  }
  /// Of the one daemon; 0 where none has written its file.
  int daemon_pid() const {
    if (!exists(runtime / "run")) return 0;
    for (const auto& file : std::filesystem::directory_iterator(runtime / "run"))
      if (file.path().extension() == ".json")
        return Json::parse(read_file(file.path()), nullptr, false).value("pid", 0);
    return 0;
  }
  Json record() const { return Json::parse(read_file(files.record())); }
  Outcome cryored_word(std::vector<std::string> words) const {
    Invocation invocation;
    invocation.words = {cryored()};
    invocation.words.insert(invocation.words.end(), words.begin(), words.end());
    invocation.environment["CRYORED_RUNTIME_DIR"] = runtime / "run";
    return run(invocation);
  }
  Json requests() const {
    return Json::parse(cryored_word({"status", "--json"}).out)["daemons"][0]["status"]["requests"];
  }
  ScratchFolder runtime;
};

TEST_F(PluginThroughDaemon, TheFirstCallStartsADaemonThatServesTheNext) {
  files.write();
  const Outcome alone = run(call({"--prior", "red", "--weights", CRYORED_TEST_RANDOM_WEIGHTS, "--threads", "2"}));
  ASSERT_EQ(alone.code, 0) << alone.err;
  const std::string map = read_file(files.result());
  EXPECT_TRUE(record()["served_by"].is_null());
  int first = 0;
  for (int i = 0; i < 2; ++i) {
    std::filesystem::remove(files.result());
    const Outcome outcome =
        run(plugin_call({"--prior", "red", "--weights", CRYORED_TEST_RANDOM_WEIGHTS, "--threads", "2"}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
    EXPECT_NE(outcome.out.find("denoiser ran on CPU (2 threads)"), std::string::npos) << outcome.out;
    EXPECT_EQ(read_file(files.result()), map);
    EXPECT_EQ(record()["served_by"]["pid"], daemon_pid());
    if (i == 0) first = daemon_pid();
    EXPECT_EQ(daemon_pid(), first);
  }
  EXPECT_EQ(cryored_word({"daemon", "--stop"}).code, 0);
  for (int i = 0; i < 1000 && kill(first, 0) == 0; ++i) usleep(10000);
  EXPECT_NE(kill(first, 0), 0) << "it has left";
}

TEST_F(PluginThroughDaemon, FilesHaveTheModeOfTheCallersUmask) {
  files.write();
  for (const auto& [mask, mode] : {std::pair{0077u, 0600u}, {0002u, 0664u}}) {
    const mode_t before = umask(mask);
    const Outcome outcome = run(plugin_call({"--prior", "gaussian"}));
    umask(before);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    struct stat info {};
    ASSERT_EQ(stat(files.result().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, mode);
  }
}

TEST_F(PluginThroughDaemon, TheFirstJobsDeviceAndThreadsAreNotThoseOfTheNext) {
  files.write();
  const std::vector<std::string> words{"--prior", "red", "--weights", "builtin:identity"};
  Invocation first = plugin_call(words);
  first.environment["CRYORED_THREADS"] = "3";
  write_file(scratch / "cryored.conf", "device = cuda:5\nthreads = 5\n");
  const Outcome started = run(first);
  ASSERT_EQ(started.code, 0) << started.err;
  EXPECT_NE(started.out.find("on CPU (3 threads)"), std::string::npos) << "its own: " << started.out;
  std::filesystem::remove(scratch / "cryored.conf");
  EXPECT_EQ(run(plugin_call(words)).out.find("on CPU (3 threads)"), std::string::npos);
  const std::string daemon = read_file("/proc/" + std::to_string(daemon_pid()) + "/cmdline");
  for (const char* part : {"--device=auto", "--threads=0"}) EXPECT_NE(daemon.find(part), std::string::npos) << part;
}

TEST_F(PluginThroughDaemon, MpirunDoesNotWaitForTheDaemonThatARankStarted) {
  if (run(std::vector<std::string>{"sh", "-c", "command -v mpirun"}).code != 0) GTEST_SKIP() << "no mpirun here";
  files.write();
  Invocation job = plugin_call();
  // The pipe ends only when nobody holds the rank's output any more; each rank is bound to one core.
  job.words = {"sh", "-c",
               "mpirun -n 2 --oversubscribe --bind-to core:overload-allowed \"$0\" --prior gaussian \"$1\" | cat",
               plugin(), files.star()};
  job.environment["OMPI_ALLOW_RUN_AS_ROOT"] = job.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
  job.environment["TMPDIR"] = runtime.path();
  const Outcome outcome = run(job);
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2) << outcome.out << outcome.err;
  const int pid = daemon_pid();
  ASSERT_GT(pid, 0) << outcome.err;
  EXPECT_EQ(kill(pid, 0), 0) << "the daemon lives on";
  const auto line_of = [](const std::string& process, const std::string& name) {
    const std::string status = read_file("/proc/" + process + "/status");
    const auto at = status.find(name);
    return status.substr(at, status.find('\n', at) - at);
  };
  EXPECT_EQ(line_of(std::to_string(pid), "Cpus_allowed:"), line_of("self", "Cpus_allowed:"));
}

TEST_F(PluginThroughDaemon, ARuntimeFolderThatCannotBeTrustedEndsNoJob) {
  files.write();
  std::filesystem::create_directory(runtime / "open");
  std::filesystem::permissions(runtime / "open", std::filesystem::perms::all);
  for (const std::string& folder : {runtime / "open", runtime / "none/below", runtime / std::string(100, 'x')}) {
    Invocation invocation = plugin_call({"--prior", "gaussian"});
    invocation.environment["CRYORED_RUNTIME_DIR"] = folder;
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 0) << folder;
    EXPECT_EQ(outcome.err.rfind("cryored-reconstruct: no daemon: " + folder, 0), 0u) << outcome.err;
    EXPECT_NE(outcome.err.find("computing in a helper process"), std::string::npos) << outcome.err;
    EXPECT_TRUE(record()["served_by"].is_null());
  }
}

TEST_F(PluginThroughDaemon, ErrorsAndExitCodesAreThoseOfTheHelper) {
  EXPECT_EQ(run(plugin_call({"--lambda", "7"})).code, 2);
  const Outcome missing = run(plugin_call());
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.err, run(call({})).err);
  EXPECT_EQ(missing.out, "");
}

TEST_F(PluginThroughDaemon, ASignalCancelsTheRequest) {
  files.write();
  const auto before = scratch.names();
  for (const int number : {SIGTERM, SIGINT, SIGKILL}) {
    Process process(plugin_call({"--prior", "red", "--weights", "builtin:wait=3600"}));
    for (int i = 0; i < 500 && (daemon_pid() == 0 || requests().empty() || requests()[0]["state"] != "running"); ++i)
      usleep(10000);
    process.send(number);
    const Outcome outcome = process.wait();
    EXPECT_EQ(outcome.signal, number) << outcome.err;
    for (int i = 0; i < 500 && !requests().empty(); ++i) usleep(10000);
    EXPECT_TRUE(requests().empty());
  }
  EXPECT_EQ(scratch.names(), before);
}

TEST_F(PluginThroughDaemon, ADaemonThatDiesIsReplacedOnceThenTheHelperComputes) {
  files.write();
  Process process(plugin_call({"--prior", "red", "--weights", "builtin:wait=2"}));
  int last = 0;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 1000; ++i, usleep(5000))
      if (daemon_pid() != last && daemon_pid() != 0 && !requests().empty() && requests()[0]["state"] == "running")
        break;
    last = daemon_pid();
    kill(last, SIGKILL);
  }
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto again = outcome.err.find("repeating the request once"), helper = outcome.err.find("in a helper process");
  EXPECT_LT(again, helper) << outcome.err;
  EXPECT_NE(helper, std::string::npos) << outcome.err;
  EXPECT_TRUE(record()["served_by"].is_null());
}

}  // namespace
}  // namespace cryored_test
