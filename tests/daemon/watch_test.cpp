// cryored daemon --watch and cryored-reconstruct --via-files: real processes, real files, real signals.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "tests/daemon/watch_fixture.hpp"

namespace cryored_test {
namespace {

class WatchMethods : public WatchTest, public testing::WithParamInterface<bool> {};

TEST_P(WatchMethods, TheMapIsThatOfReconstruct) {
  files.write();
  write_file(scratch / "cryored.conf", "fsc-threshold = 0.5\n");
  Invocation alone = ask({"--prior", "red", "--weights", "builtin:identity", "--threads", "1"});
  alone.words[1] = "--no-daemon";
  ASSERT_EQ(run(alone).code, 0);
  const std::string map = read_file(files.result());
  fs::remove(files.result());
  const Process daemon =
      start_daemon("a", GetParam() ? std::vector<std::string>{"--watch-poll", "0.2"} : std::vector<std::string>{});
  ASSERT_TRUE(wait_for("a", "watch.started"));
  EXPECT_EQ(events("a", "watch.started")[0]["method"], GetParam() ? "polling" : "inotify");
  const Outcome outcome = run(ask({"--prior", "red", "--weights", "builtin:identity", "--threads", "1"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out.rfind("cryored: run_it004_half1_class001: denoiser ran", 0), 0u) << outcome.out;
  EXPECT_EQ(read_file(files.result()), map);
  EXPECT_EQ(record()["served_by"]["pid"], daemon.pid());
  EXPECT_EQ(record()["options"]["fsc-threshold"]["source"], "cryored.conf:1") << "of the caller's folder";
  EXPECT_EQ(record()["request"]["star"], files.written_folder + "/" + files.stem + "_external_reconstruct.star");
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
  const Outcome wrong = run(ask({"--lamda", "1"}));
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("did you mean --lambda?"), std::string::npos) << wrong.err;
}

INSTANTIATE_TEST_SUITE_P(Methods, WatchMethods, testing::Bool(),
                         [](const auto& method) { return method.param ? "Polling" : "Inotify"; });

TEST_F(WatchTest, TwoDaemonsRaceForEachRequestAndOneComputesIt) {
  constexpr int count = 16;
  const Process a = start_daemon("a"), b = start_daemon("b", {"--watch-poll", "0.1"});
  ASSERT_TRUE(wait_for("a", "watch.started") && wait_for("b", "watch.started"));
  std::vector<RequestFiles> requests(count, files);
  std::vector<std::unique_ptr<Process>> callers;
  for (int i = 0; i < count; ++i) {
    auto& request = requests[static_cast<std::size_t>(i)];
    request.stem = "run_it0" + std::to_string(10 + i) + "_class001";
    request.write();
  }
  for (const auto& request : requests)
    callers.push_back(std::make_unique<Process>(ask(request, {"--prior", "gaussian"})));
  for (auto& caller : callers) {
    const Outcome outcome = caller->wait();
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
  }
  for (const auto& request : requests) EXPECT_TRUE(exists(request.result())) << request.stem;
  EXPECT_EQ(events("a", "request.done").size() + events("b", "request.done").size(), std::size_t{count});
  EXPECT_EQ(events("a", "watch.accepted").size() + events("b", "watch.accepted").size(), std::size_t{count});
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, AKilledDaemonsSuccessorTakesItsRequestOverAtOnce) {
  files.write();
  auto first = std::make_unique<Process>(daemon_call("a"));
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Process caller(ask(lasting("2")));
  ASSERT_TRUE(wait_for("a", "request.started"));
  first.reset();  // SIGKILL
  const Process second = start_daemon("b");
  const Outcome outcome = caller.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(record()["served_by"]["pid"], second.pid());
  EXPECT_EQ(record()["served_by"]["attempt"], 2);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, ADaemonThatLeavesHandsItsRequestOver) {
  files.write();
  Process first = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Process caller(ask(lasting("2")));
  ASSERT_TRUE(wait_for("a", "request.started"));
  const Process second = start_daemon("b");
  first.send(SIGTERM);
  EXPECT_EQ(first.wait().code, 0);
  EXPECT_EQ(caller.wait().code, 0);
  EXPECT_EQ(record()["served_by"]["pid"], second.pid());
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, ADaemonThatDrainsEndsItsRequest) {
  files.write();
  Process daemon = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Process caller(ask(lasting("1")));
  ASSERT_TRUE(wait_for("a", "request.started"));
  Invocation stop;
  stop.words = {cryored(), "daemon", "--stop", "--drain"};
  stop.environment["CRYORED_RUNTIME_DIR"] = elsewhere / "run-a";
  EXPECT_EQ(run(stop).code, 0);
  const Outcome outcome = caller.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(daemon.wait().code, 0);
}

TEST_F(WatchTest, AStoppedDaemonIsReplacedAndPublishesNothingAfterwards) {
  files.write();
  const Process first = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Process caller(ask(lasting("1")));
  ASSERT_TRUE(wait_for("a", "request.started"));
  first.send(SIGSTOP);
  const Process second = start_daemon("b", {"--watch-silence", "5"});
  const Outcome outcome = caller.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(record()["served_by"]["pid"], second.pid());
  struct stat before {
  }, after{};
  ASSERT_EQ(stat(files.result().c_str(), &before), 0);
  first.send(SIGCONT);
  EXPECT_TRUE(wait_for("a", "request.cancelled"));
  ASSERT_EQ(stat(files.result().c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino) << "the map is still the second one's";
  EXPECT_TRUE(events("a", "request.done").empty());
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, FilesThatArriveLateAreWaitedFor) {
  files.write();
  const std::string weight = files.file("_weight.mrc"), whole = read_file(weight);
  ASSERT_GT(whole.size(), 2000u);
  fs::remove(weight);
  const Process daemon = start_daemon("a");
  Process caller(ask());
  ASSERT_TRUE(wait_for("a", "watch.accepted"));
  usleep(200'000);
  write_file(weight, whole.substr(0, 500));
  usleep(200'000);
  write_file(weight, whole.substr(0, whole.size() - 1));
  usleep(200'000);
  EXPECT_TRUE(events("a", "request.started").empty());
  EXPECT_FALSE(exists(files.result()));
  write_file(weight, whole);
  const Outcome outcome = caller.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(WatchTest, ADaemonWithAnIdleTimeOutDoesNotLeaveARequestThatItHasTaken) {
  files.write();
  const std::string weight = files.file("_weight.mrc"), whole = read_file(weight);
  fs::remove(weight);
  Process daemon = start_daemon("a", {"--idle-timeout", "1"});
  Process caller(ask());
  ASSERT_TRUE(wait_for("a", "watch.accepted"));
  usleep(2'500'000);
  EXPECT_TRUE(events("a", "daemon.leaving").empty()) << "its caller waits for the files";
  write_file(weight, whole);
  const Outcome outcome = caller.wait();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(daemon.wait().code, 0);
  ASSERT_EQ(events("a", "daemon.leaving").size(), 1u);
  EXPECT_EQ(events("a", "daemon.leaving")[0]["why"], "idle");
}

TEST_F(WatchTest, FilesThatStayShortAreAnError) {
  files.write();
  const std::string weight = files.file("_weight.mrc");
  fs::resize_file(weight, fs::file_size(weight) - 4);
  const Process daemon = start_daemon("a", {"--watch-patience", "1"});
  const Outcome outcome = run(ask());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("(truncated)"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("--watch-patience"), std::string::npos) << outcome.err;
  EXPECT_FALSE(exists(files.result()));
  EXPECT_TRUE(events("a", "request.started").empty());
  // The STAR of this caller has another size than the daemon sees: here it is cut between two looks of the caller.
  files.write();
  const std::string text = files.star_text();
  write_file(files.star(), text.substr(0, text.size() - 30));
  const Outcome cut = run(ask());
  EXPECT_EQ(cut.code, 1);
  EXPECT_NE(cut.err.find("data_external_reconstruct_tau2"), std::string::npos) << cut.err;
}

TEST_F(WatchTest, FinishedJobsAndOldAnswersAreLeftAlone) {
  files.write();
  const std::string old = "a finished map";
  write_file(files.result(), old);
  {  // A caller that was killed leaves its request.
    const Process caller(ask());
    ASSERT_TRUE(wait_until_there(request_file()));
  }
  const std::string request = read_file(request_file());
  const Process daemon = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  usleep(1'500'000);
  EXPECT_EQ(read_file(files.result()), old);
  EXPECT_EQ(read_file(request_file()), request);
  EXPECT_TRUE(events("a", "watch.accepted").empty());
  // An answer of an earlier iteration or attempt is no answer to the next call.
  const std::string stale =
      files.folder + "/" + files.stem + "_external_reconstruct.cryored-answer-" + std::string(32, 'a') + "-0.json";
  write_file(stale, Json{{"protocol", 1}, {"nonce", std::string(32, 'a')}, {"state", "done"}, {"exit", 0}}.dump());
  const Outcome outcome = run(ask());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(read_file(files.result()), old);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, LinksOutOfTheFolderAreRefused) {
  files.write();
  const std::string weight = files.file("_weight.mrc");
  fs::rename(weight, files.folder + "/inside.mrc");
  fs::create_symlink("inside.mrc", weight);
  const Process daemon = start_daemon("a");
  EXPECT_EQ(run(ask()).code, 0) << "a link inside is as good as a file";
  fs::remove(files.result());
  fs::rename(files.folder + "/inside.mrc", elsewhere / "outside.mrc");
  fs::remove(weight);
  fs::create_symlink(elsewhere / "outside.mrc", weight);
  const Outcome outcome = run(ask());
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("by a symbolic link; allowed: a place inside the watched folder"), std::string::npos)
      << outcome.err;
  EXPECT_FALSE(exists(files.result()));
  // A result that would be written elsewhere.
  fs::remove(weight);
  fs::rename(elsewhere / "outside.mrc", weight);
  fs::create_directory_symlink(elsewhere.path(), scratch / "out");
  files.general["rlnExtReconsResult"] = "out/map.mrc";
  write_file(files.star(), files.star_text());
  const Outcome written = run(ask());
  EXPECT_EQ(written.code, 1);
  EXPECT_NE(written.err.find("rlnExtReconsResult: "), std::string::npos) << written.err;
  EXPECT_FALSE(exists(elsewhere / "map.mrc"));
  // A request file that is a link is not even read.
  fs::create_symlink(elsewhere / "x.json", scratch / "x.cryored-request.json");
  EXPECT_TRUE(wait_for("a", "watch.refused"));
}

TEST_F(WatchTest, InOtherNamespacesUnderAnotherPath) {
  if (geteuid() != 0 || run(std::vector<std::string>{"unshare", "-mn", "true"}).code != 0)
    GTEST_SKIP() << "needs the right to make namespaces";
  files.write();
  fs::create_directory(elsewhere / "mount");
  Invocation call = daemon_call("a");
  call.words.back() = elsewhere / "mount";
  // What RELION calls its project is an empty folder there, and the network is down.
  call.words.insert(
      call.words.begin(),
      {"unshare", "-mn", "sh", "-c", "mount --bind \"$0\" \"$1\" && mount -t tmpfs none \"$0\" && shift && exec \"$@\"",
       scratch.path(), elsewhere / "mount"});
  const Process daemon(call);
  ASSERT_TRUE(wait_for("a", "watch.started"));
  const Outcome outcome = run(ask());
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(exists(files.result()));
  EXPECT_EQ(record()["working_directory"], elsewhere / "mount");
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

/// A file system without inotify's news, nameless files and shared caches.
class FuseMount {
 public:
  FuseMount(const std::string& from, std::string to) : to_(std::move(to)) {
    fs::create_directory(to_);
    mounted_ = exists("/dev/fuse") && run(std::vector<std::string>{"bindfs", from, to_}).code == 0;
  }
  ~FuseMount() {
    if (mounted_) run(std::vector<std::string>{"fusermount", "-u", "-z", to_});
  }
  FuseMount(const FuseMount&) = delete;
  FuseMount& operator=(const FuseMount&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string to_;
  bool mounted_;
};

TEST_F(WatchTest, OnAFileSystemThatNeedsPolling) {
  const FuseMount mount(scratch.path(), elsewhere / "fuse");
  if (!mount.mounted()) GTEST_SKIP() << "no FUSE here, or no bindfs";
  files.write();
  Invocation call = daemon_call("a");
  call.words.back() = elsewhere / "fuse";
  const Process a(call);
  call = daemon_call("b");
  call.words.back() = elsewhere / "fuse";
  const Process b(call);
  ASSERT_TRUE(wait_for("a", "watch.started") && wait_for("b", "watch.started"));
  EXPECT_EQ(events("a", "watch.started")[0]["method"], "polling");
  EXPECT_EQ(events("a", "watch.started")[0]["file_system"], "fuse");
  Invocation inside = ask();
  inside.folder = elsewhere / "fuse";
  for (const Invocation& caller : {ask(), inside}) {
    fs::remove(files.result());
    const Outcome outcome = run(caller);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_TRUE(exists(files.result()));
  }
  EXPECT_EQ(events("a", "request.done").size() + events("b", "request.done").size(), 2u);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, AFolderThatTheDaemonMayNotWriteTo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs a caller that may write where the daemon may not";
  files.write();
  fs::permissions(files.folder, fs::perms::owner_read | fs::perms::owner_exec);
  const Process daemon = start_daemon("a", {}, true);
  ASSERT_TRUE(wait_for("a", "watch.started"));
  Invocation call = ask({"--prior", "gaussian", "--via-files-timeout", "2"});
  const Outcome outcome = run(call);
  EXPECT_NE(outcome.err.find("waited 2.0 s (--via-files-timeout) for a daemon that watches "), std::string::npos)
      << outcome.err;
  EXPECT_NE(outcome.err.find("the request is withdrawn, computing in a helper process"), std::string::npos);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  ASSERT_TRUE(wait_for("a", "watch.unanswerable"));
  const auto event = events("a", "watch.unanswerable").front();
  EXPECT_NE(event["warning"].get<std::string>().find("Permission denied"), std::string::npos) << event;
  // And a caller that may not write there itself says so at once.
  call.obey_permissions = true;
  const Outcome refused = run(call);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("writable"), std::string::npos) << refused.err;
  fs::permissions(files.folder, fs::perms::owner_all);
}

TEST_F(WatchTest, ASignalCancels) {
  files.write();
  const Process daemon = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  for (const int number : {SIGINT, SIGTERM}) {
    const std::size_t before = events("a", "request.cancelled").size();
    Process caller(ask(lasting("3600")));
    ASSERT_TRUE(wait_for("a", "request.started", before + 1));
    caller.send(number);
    const Outcome outcome = caller.wait();
    EXPECT_EQ(outcome.signal, number);
    EXPECT_NE(outcome.err.find("the request is cancelled"), std::string::npos) << outcome.err;
    EXPECT_TRUE(wait_for("a", "request.cancelled", before + 1));
    EXPECT_FALSE(exists(files.result()));
  }
  for (int i = 0; i < 500 && !leftovers().empty(); ++i) usleep(10'000);
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, OfTwoCallersForOneMapTheYoungerGoesOn) {
  files.write();
  Process first(ask());
  ASSERT_TRUE(wait_until_there(request_file()));
  Process second(ask());
  const Outcome outcome = first.wait();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("another call has put its request in its place"), std::string::npos) << outcome.err;
  EXPECT_TRUE(exists(request_file())) << "that of the other one";
  const Process daemon = start_daemon("a");
  const Outcome other = second.wait();
  EXPECT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(other.err, "");
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, AKilledCallersRequestIsGivenUp) {
  files.write();
  const Process daemon = start_daemon("a", {"--watch-silence", "5"});
  ASSERT_TRUE(wait_for("a", "watch.started"));
  {
    const Process caller(ask(lasting("3600")));
    ASSERT_TRUE(wait_for("a", "request.started"));
  }
  EXPECT_TRUE(wait_for("a", "watch.caller-silent"));
  EXPECT_TRUE(wait_for("a", "request.cancelled"));
  EXPECT_FALSE(exists(files.result()));
  const Outcome next = run(ask());  // the next iteration, or --continue
  EXPECT_EQ(next.code, 0) << next.err;
  EXPECT_EQ(leftovers(), std::vector<std::string>{});
}

TEST_F(WatchTest, RequestsThatAreNoneGetAClearAnswerOrNone) {
  files.write();
  const Process daemon = start_daemon("a");
  ASSERT_TRUE(wait_for("a", "watch.started"));
  const std::string nonce(32, 'b'),
      answer = files.folder + "/" + files.stem + "_external_reconstruct.cryored-answer-" + nonce + "-0.json";
  Json request{{"protocol", 7}, {"nonce", nonce}, {"beat", 0}};
  const auto send = [&] {  // as long as nobody answers
    for (int beat = 1; beat < 1000 && !(exists(answer) && read_file(answer).find("\"done\"") != std::string::npos);
         ++beat) {
      request["beat"] = beat;
      write_file(files.folder + "/tmp", request.dump());
      fs::rename(files.folder + "/tmp", request_file());
      usleep(20'000);
    }
    const Json read = exists(answer) ? Json::parse(read_file(answer)) : Json::object();
    fs::remove(request_file());
    for (int i = 0; i < 500 && exists(answer); ++i) usleep(10'000);
    EXPECT_FALSE(exists(answer)) << "goes with its request";
    return read.value("stderr", "");
  };
  write_file(scratch / "x.cryored-request.json", "{\"protocol\": 1,");
  EXPECT_TRUE(wait_for("a", "watch.refused"));
  // The watched folder of older and newer versions of cryored, whose request says no more.
  EXPECT_NE(send().find("protocol: found 7"), std::string::npos);
  request.update(Json{{"protocol", 1},
                      {"star_size", 1},
                      {"job_root_levels", 0},
                      {"words", {"../other.star"}},
                      {"environment", Json::object()}});
  EXPECT_NE(send().find("as the first word"), std::string::npos);
  request["words"] = {files.stem + "_external_reconstruct.star"};
  request["job_root_levels"] = 100;
  EXPECT_NE(send().find("job_root_levels"), std::string::npos);
  EXPECT_TRUE(events("a", "request.submitted").empty());
}

}  // namespace
}  // namespace cryored_test
