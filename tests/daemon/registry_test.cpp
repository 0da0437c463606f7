// Which daemons `cryored status` finds, and how it shows them.

#include "daemon/registry.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "daemon/http_get.hpp"
#include "daemon/status_text.hpp"
#include "tests/daemon/outside_testing.hpp"

namespace cryored_test {
namespace {

using namespace cryored::daemon;
using std::chrono::milliseconds;

/// Listens where a daemon would, and gives each caller the same bytes; with none, holds the connection open.
class FakePeer {
 public:
  FakePeer(const std::string& path, std::string answer, int callers = 1) : answer_(std::move(answer)) {
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = socket_address(path);
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 8) != 0)
      throw std::runtime_error("cannot listen on " + path);
    thread_ = std::thread([this, callers] {
      for (int i = 0; i < callers; ++i) serve();
    });
  }
  ~FakePeer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  FakePeer(const FakePeer&) = delete;
  FakePeer& operator=(const FakePeer&) = delete;

 private:
  void serve() const {
    const int peer = accept(listener_, nullptr, nullptr);
    if (peer < 0) return;
    char buffer[4096];
    while (read(peer, buffer, sizeof buffer) == static_cast<ssize_t>(sizeof buffer)) {
    }
    if (answer_.empty())
      while (read(peer, buffer, sizeof buffer) > 0) {
      }
    send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);  // the caller may have given up
    close(peer);
  }
  std::string answer_;
  int listener_ = -1;
  std::thread thread_;
};

std::string http(const std::string& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string all_of(const std::vector<std::string>& lines) {
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  return all;
}

TEST(Registry, TellsServingLeavingSilentStaleAndOtherHosts) {
  const cryored::TemporaryFolder folder;
  const auto at = [&](const std::string& key) { return Address{folder.path().string(), key}; };
  const auto announce = [&](const std::string& key, const std::string& text) { std::ofstream(at(key).json()) << text; };
  for (const char* key : {"a-1", "b-2", "c-3"}) announce(key, "{\"pid\": 12}");
  announce("d-4", "{\"pid\": 12");  // cut short
  announce("e-5", "{\"host\": \"a-host-that-is-not-this-one\"}");
  std::ofstream(folder / ".hidden.json") << "{}";
  std::ofstream(folder / "other.txt") << "{}";
  std::filesystem::create_symlink("/etc/passwd", at("f-6").json());
  const DaemonLock first(at("a-1")), second(at("b-2")), third(at("c-3"));
  ASSERT_TRUE(first.held() && second.held() && third.held());
  Snapshot leaving = busy_snapshot();
  leaving.self.draining = true;
  const FakePeer a(at("a-1").socket(), http(to_json(busy_snapshot()).dump()));
  const FakePeer b(at("b-2").socket(), http(to_json(leaving).dump()));
  const FakePeer c(at("c-3").socket(), "");

  const auto before = std::chrono::steady_clock::now();
  const auto found = find_daemons(folder.path().string(), milliseconds(300));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30)) << "a silent one does not hold it up";
  ASSERT_EQ(found.size(), 6u);
  const Condition expected[] = {Condition::serving, Condition::leaving,    Condition::silent,
                                Condition::stale,   Condition::other_host, Condition::stale};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(found[i].condition, expected[i]) << found[i].address.key;
  EXPECT_EQ(found[0].status["daemon"]["pid"], 4711);
  EXPECT_NE(found[2].error.find("no answer within 300 ms"), std::string::npos) << found[2].error;
  EXPECT_TRUE(found[3].file.is_null()) << "not JSON";
  EXPECT_TRUE(found[5].file.is_null()) << "a link is not followed";
}

// Cleaners of /tmp take old files from a daemon that lives, but not its socket.
TEST(Registry, FindsADaemonThatHasItsSocketAlone) {
  const cryored::TemporaryFolder folder;
  const auto at = [&](const std::string& key) { return Address{folder.path().string(), key}; };
  std::ofstream(at("unlocked-1").json()) << "{\"pid\": 12}";
  std::ofstream(at("killed-3").socket()) << "";
  // Asked whether it lives, then for its status.
  const FakePeer a(at("unlocked-1").socket(), http(to_json(busy_snapshot()).dump()), 2);
  const FakePeer b(at("cleaned-2").socket(), http(to_json(busy_snapshot()).dump()), 2);
  const auto found = find_daemons(folder.path().string());
  ASSERT_EQ(found.size(), 2u) << "what nobody listens on is no daemon";
  EXPECT_EQ(found[0].address.key, "cleaned-2");
  EXPECT_TRUE(found[0].file.is_null());
  for (const auto& one : found) EXPECT_EQ(one.condition, Condition::serving) << one.address.key << one.error;
}

TEST(Registry, AnAnswerThatIsNoStatusIsSilent) {
  const cryored::TemporaryFolder folder;
  const Address address{folder.path().string(), "a-1"};
  std::ofstream(address.json()) << "{}";
  const DaemonLock lock(address);
  for (const std::string& answer : {http("[1]"), http("{}", "503 Service Unavailable"), std::string("garbage\r\n\r\n"),
                                    std::string("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")}) {
    std::filesystem::remove(address.socket());
    const FakePeer peer(address.socket(), answer);
    const auto found = find_daemons(folder.path().string(), milliseconds(2000));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].condition, Condition::silent) << answer;
    EXPECT_NE(found[0].error, "") << answer;
  }
}

TEST(Registry, RemovesWhatDaemonsOfOtherKeysLeftLongAgo) {
  const cryored::TemporaryFolder folder;
  const std::string path = folder.path().string(), hash(16, '0');
  const auto make = [&](const std::string& name, const std::string& text = "{}", bool old = true) {
    std::ofstream(folder / name) << text;
    if (!old) return;
    const timespec times[2] = {{1000000, 0}, {1000000, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, (folder / name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  };
  const auto there = [&](const std::string& name) { return std::filesystem::exists(folder / name); };
  for (const char* ending : {".json", ".lock", ".sock", ".log", ".1.log"}) make("killed-" + hash + ending);
  make("logged-" + hash + ".log");
  make("young-" + hash + ".json");
  make("young-" + hash + ".log", "", false);
  make("own-" + hash + ".log");
  make("elsewhere-" + hash + ".json", "{\"host\": \"a-host-that-is-not-this-one\"}");
  make("alive-" + hash + ".json");
  make("alive-" + hash + ".lock");
  for (const char* name : {"notes.json", "name-0000.json", "killed-0000000000000000.json.bak"}) make(name);
  const DaemonLock alive({path, "alive-" + hash});
  ASSERT_TRUE(alive.held());
  // A cleaner has taken the lock of a daemon that lives.
  const FakePeer listening(folder / ("unlocked-" + hash + ".sock"), "");
  const timespec times[2] = {{1000000, 0}, {1000000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (folder / ("unlocked-" + hash + ".sock")).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  make("unlocked-" + hash + ".log");
  EXPECT_EQ(remove_leftovers(path, "own-" + hash), (std::vector<std::string>{"killed-" + hash, "logged-" + hash}));
  for (const char* ending : {".json", ".lock", ".sock", ".log", ".1.log"})
    EXPECT_FALSE(there("killed-" + hash + ending));
  EXPECT_FALSE(there("logged-" + hash + ".log"));
  EXPECT_FALSE(there("logged-" + hash + ".lock"));
  for (const std::string& name :
       {"young-" + hash + ".json", "young-" + hash + ".log", "own-" + hash + ".log", "elsewhere-" + hash + ".json",
        "alive-" + hash + ".json", "alive-" + hash + ".lock", "unlocked-" + hash + ".sock", "unlocked-" + hash + ".log",
        std::string("notes.json"), std::string("name-0000.json"), std::string("killed-0000000000000000.json.bak")})
    EXPECT_TRUE(there(name)) << name;
  EXPECT_FALSE(there("unlocked-" + hash + ".lock")) << "none is made";
}

TEST(Registry, NobodyListensOrNoFolder) {
  const cryored::TemporaryFolder folder;
  EXPECT_THROW(http_get(folder / "none.sock", "/", milliseconds(500)), cryored::SystemError);
  EXPECT_TRUE(find_daemons(folder / "none").empty());
  const auto lines = status_lines(std::vector<FoundDaemon>{}, folder.path().string());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("no daemon of yours"), std::string::npos);
}

TEST(StatusText, ShowsWhatTheSnapshotHolds) {
  FoundDaemon found{{"/run", "default-1"}, Condition::serving, nullptr, to_json(busy_snapshot()), ""};
  const std::string all = all_of(status_lines(found));
  for (const char* part : {"default-1: serving, pid 4711, version 1.2.3", "310 MB resident", "1.2 GB of 16.0 GB",
                           "cuda:0", "unet loaded", "running", "waiting", "run_it004_half1_class001", "0.412", "7.50 A",
                           "job012/run", "6 maps done, 1 failed", "leaves after 10.0 min",
                           "gr\xc3\xb6\xc3\x9f"
                           "e"})
    EXPECT_NE(all.find(part), std::string::npos) << part << "\n" << all;
  EXPECT_EQ(all.find('\x1b'), std::string::npos) << "no terminal sequence from a name";
}

TEST(StatusText, AnotherVersionsStatusIsShownAsFarAsItGoes) {
  for (const char* text : {"{}", "{\"daemon\": 5, \"devices\": {}, \"jobs\": [1, null, {\"recent\": [[]]}]}",
                           "{\"requests\": [{\"state\": 7}], \"daemon\": {\"watched\": [1]}}"}) {
    FoundDaemon found{{"/run", "default-1"}, Condition::serving, nullptr, Json::parse(text), ""};
    EXPECT_NE(all_of(status_lines(found)).find("serving"), std::string::npos) << text;
  }
}

TEST(StatusText, CutsByColumnsNotBytes) {
  EXPECT_EQ(columns("gr\xc3\xb6\xc3\x9f"
                    "e"),
            5u);
  EXPECT_EQ(cut_to("gr\xc3\xb6\xc3\x9f"
                   "e",
                   5),
            "gr\xc3\xb6\xc3\x9f"
            "e");
  EXPECT_EQ(cut_to("gr\xc3\xb6\xc3\x9f"
                   "e",
                   4),
            "gr\xc3\xb6~");
  EXPECT_EQ(cut_to("abc", 0), "");
  EXPECT_EQ(printable("a\x1b[2J\xc2\x9b"
                      "b\n"),
            "a?[2J?b?");
}

}  // namespace
}  // namespace cryored_test
