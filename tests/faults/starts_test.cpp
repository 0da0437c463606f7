// Names, sockets and locks that are not what they should be, and daemons that race for one name.

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "tests/faults/faults.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;
constexpr unsigned nobody = 65534;

class FaultsStarts : public FaultTest {
 protected:
  /// The name of the daemon's files, as long as it is the same program.
  std::string learn_key() {
    const auto process = start_daemon();
    const std::string path = file_of_daemon(".sock");
    process->send(SIGTERM);
    EXPECT_EQ(process->wait().code, 0);
    return path.substr(0, path.size() - 5);
  }
  /// The plugin's map is right, whoever made it; its stderr.
  std::string plugin_succeeds() {
    const Outcome outcome = run(plugin_call());
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(take_map()) << outcome.err;
    return outcome.err;
  }
  void expect_refused(const std::string& part, const std::string& log = "") {
    Invocation invocation = daemon();
    if (!log.empty()) invocation.words.back() = log;
    invocation.timeout = 20;
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 1) << part;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
  }

  void races(int rounds, int count) {
    int served = 0;
    for (int round = 0; round < rounds; ++round) {
      std::vector<std::unique_ptr<Process>> racing;
      for (int i = 0; i < count; ++i) racing.push_back(std::make_unique<Process>(daemon()));
      Json now;
      for (int i = 0; i < 4000 && !now.is_object(); ++i, sleep_ms(5)) now = status();
      ASSERT_TRUE(now.is_object());
      int winners = 0;
      for (const auto& process : racing) {
        if (process->pid() == now["daemon"]["pid"]) {
          ++winners;
          continue;
        }
        const Outcome outcome = process->wait();
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_NE(outcome.out.find("another daemon serves"), std::string::npos) << outcome.out;
      }
      EXPECT_EQ(winners, 1);
      EXPECT_EQ(status()["daemon"]["pid"], now["daemon"]["pid"]) << "the same one still serves";
      for (const auto& process : racing)
        if (process->pid() == now["daemon"]["pid"]) {
          process->send(SIGTERM);
          EXPECT_EQ(process->wait().code, 0);
        }
      EXPECT_TRUE(fs::is_empty(folder_of_daemon())) << "nothing stays";
      served += winners;
    }
    report("daemons racing for one name, " + std::to_string(count) + " at once", 1L * rounds * count,
           std::to_string(served) + " races, one winner each; the others end with exit 0");
  }

  void stale(int count) {
    write_request({"--prior", "gaussian"});
    Invocation look;
    look.words = {cryored(), "status", "--json"};
    look.environment["CRYORED_RUNTIME_DIR"] = folder_of_daemon();
    for (int i = 0; i < count; ++i) {
      {
        const auto process = start_daemon();
        process->send(SIGKILL);
        EXPECT_EQ(process->wait().signal, SIGKILL);
      }
      EXPECT_TRUE(exists(file_of_daemon(".sock")));
      const Outcome seen = run(look);
      EXPECT_EQ(seen.code, 1);
      EXPECT_NE(seen.out.find("\"stale\""), std::string::npos) << seen.out;
      EXPECT_EQ(plugin_succeeds(), "") << "a new daemon served it";
      for (const pid_t pid : daemons()) kill(pid, SIGKILL);
      for (int k = 0; k < 1000 && !daemons().empty(); ++k) sleep_ms(5);
    }
    report("socket, lock and JSON file of a daemon that was killed", count,
           "cryored status says stale; the next plugin starts a new one, which takes their place");
  }

  void links_and_folders() {
    write_request({"--prior", "gaussian"});
    const std::string key = learn_key(), precious = scratch / "precious";
    const auto cleanly = [&](const std::function<void()>& spoil, const std::function<void()>& check) {
      write_file(precious, "precious");
      spoil();
      check();
      for (const pid_t pid : daemons()) kill(pid, SIGKILL);
      for (int k = 0; k < 1000 && !daemons().empty(); ++k) sleep_ms(5);
      EXPECT_EQ(read_file(precious), "precious");
      fs::remove_all(folder_of_daemon());
      fs::create_directory(folder_of_daemon());
      fs::permissions(folder_of_daemon(), fs::perms::owner_all);
    };
    int cases = 0;
    const auto helped = [&](const std::string& part) {
      ++cases;
      expect_refused(part);
      EXPECT_NE(plugin_succeeds().find("computing in a helper process"), std::string::npos) << part;
    };
    // Links that a new daemon replaces.
    for (const char* ending : {".sock", ".json"})
      cleanly([&] { fs::create_symlink(precious, key + ending); },
              [&] {
                ++cases;
                EXPECT_EQ(plugin_succeeds(), "") << ending;
                EXPECT_FALSE(fs::is_symlink(key + ending)) << ending;
              });
    // What it refuses; the plugin computes all the same.
    cleanly([&] { fs::create_symlink(precious, key + ".lock"); }, [&] { helped("lock of the daemon"); });
    cleanly([&] { fs::create_directory(key + ".sock"); }, [&] { helped("socket of the daemon"); });
    cleanly([&] { fs::create_directory(key + ".lock"); }, [&] { helped("lock of the daemon"); });
    cleanly([&] { fs::permissions(folder_of_daemon(), fs::perms::all); }, [&] { helped("mode 0777"); });
    cleanly(
        [&] {
          write_file(scratch / "log", "");
          fs::create_symlink(precious, scratch / "link");
        },
        [&] {
          ++cases;
          expect_refused("a symbolic link", scratch / "link");
        });
    fs::remove(scratch / "link");
    fs::remove(scratch / "log");
    cleanly(
        [&] {
          fs::remove_all(folder_of_daemon());
          fs::create_directory(runtime / "elsewhere");
          fs::permissions(runtime / "elsewhere", fs::perms::owner_all);
          fs::create_symlink(runtime / "elsewhere", folder_of_daemon());
        },
        [&] { helped("a symbolic link"); });
    cleanly(
        [&] {
          fs::remove_all(folder_of_daemon());
          write_file(folder_of_daemon(), "");
        },
        [&] { helped("no folder"); });
    if (geteuid() == 0)
      cleanly([&] { EXPECT_EQ(chown(folder_of_daemon().c_str(), nobody, nobody), 0); },
              [&] { helped("a folder of user 65534"); });
    fs::remove(precious);
    EXPECT_EQ(litter(), std::vector<std::string>{});
    report("socket, lock, JSON file, log or runtime folder that is a link, a folder, a file, open to all or foreign",
           cases, "links replaced, never followed; else refused, and the plugin computes in a helper process");
  }

  void foreign_client(int count) {
    write_request({"--prior", "gaussian"});
    const auto process = start_daemon();
    // Open every door but the last one.
    for (const std::string& path : {runtime.path(), folder_of_daemon()}) ASSERT_EQ(chmod(path.c_str(), 0755), 0);
    const std::string path = file_of_daemon(".sock"), request = body({files.star()});
    ASSERT_EQ(chmod(path.c_str(), 0666), 0);
    for (int i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        if (setgroups(0, nullptr) != 0 || setresgid(nobody, nobody, nobody) != 0 ||
            setresuid(nobody, nobody, nobody) != 0)
          _exit(9);
        Client client(path);
        if (!client.connected()) _exit(8);
        if (i % 2 == 0)
          client.post("/v1/stop", "{\"drain\": false}");
        else
          client.post("/v1/reconstruct", request);
        _exit(client.read_all().empty() ? 0 : 7);
      }
      int ended = 0;
      ASSERT_EQ(waitpid(child, &ended, 0), child);
      EXPECT_EQ(ended, 0) << "exit " << WEXITSTATUS(ended);
    }
    EXPECT_EQ(status()["counters"]["foreign_peers"], count);
    EXPECT_FALSE(exists(files.result()));
    EXPECT_EQ(ask()["exit"], 0);
    EXPECT_TRUE(take_map());
    report("another user on the socket (SO_PEERCRED)", count, "cut off without a word");
  }

  /// A socket of the right name that another user listens on.
  void foreign_listener() {
    write_request({"--prior", "gaussian"});
    const std::string path = learn_key() + ".sock";
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      // Who calls listen() is who SO_PEERCRED names.
      const bool good = setresuid(nobody, nobody, nobody) == 0 && listen(listener, 8) == 0;
      if (write(ready[1], good ? "y" : "n", 1) != 1) _exit(1);
      for (;;) {
        const int client = accept(listener, nullptr, nullptr);
        char bytes[4096];
        if (client >= 0 && read(client, bytes, sizeof bytes) > 0) _exit(5);  // it was told something
        close(client);
      }
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    ASSERT_EQ(byte, 'y');
    EXPECT_NE(plugin_succeeds().find("belongs to a process of user 65534"), std::string::npos);
    EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "it heard nothing of the request";
    close(listener);
    close(ready[0]);
    close(ready[1]);
    report("a socket of the daemon's name that another user listens on", 1,
           "the plugin tells it nothing and computes in a helper process");
  }
};
class FaultsLongStarts : public FaultsStarts {};

TEST_F(FaultsStarts, Races) { races(3, 8); }
TEST_F(FaultsLongStarts, Races) { races(100, 8); }
TEST_F(FaultsStarts, Stale) { stale(3); }
TEST_F(FaultsLongStarts, Stale) { stale(50); }
TEST_F(FaultsStarts, LinksAndFolders) { links_and_folders(); }
TEST_F(FaultsStarts, AnotherUsersClient) {
  if (geteuid() != 0) GTEST_SKIP() << "to become another user takes root";
  foreign_client(10);
}
TEST_F(FaultsStarts, AnotherUsersSocket) {
  if (geteuid() != 0) GTEST_SKIP() << "to become another user takes root";
  foreign_listener();
}

}  // namespace
}  // namespace cryored_test
