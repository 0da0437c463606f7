// Where a daemon is found: folder, key, lock.

#include "daemon/address.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"

namespace cryored::daemon {
namespace {

namespace fs = std::filesystem;

class AddressTest : public testing::Test {
 protected:
  AddressTest() {
    setenv("CRYORED_RUNTIME_DIR", (folder + "/run").c_str(), 1);
    std::ofstream(folder + "/cryored") << "program";
  }

  void expect_refusal(const std::string& part) const {
    try {
      runtime_folder();
      ADD_FAILURE() << "accepted";
    } catch (const SystemError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }

  TemporaryFolder temporary;
  const std::string folder = temporary.path().string();
};

// The hash of these very lines, computed with another program:
// printf 'v1\n1000\nnode7\n/opt/cryored/bin 1234 1700000000000000001\n42.0\nunset\n' | FNV-1a 64 in Python
TEST(AddressKey, IsThatOfTheDocument) {
  AddressInputs inputs;
  inputs.uid = 1000;
  inputs.host = "node7";
  inputs.program = "/opt/cryored/bin 1234 1700000000000000001";
  inputs.slurm_job = "42";
  inputs.slurm_step = "0";
  EXPECT_EQ(address_key(inputs), "default-3069957abf3c5e19");
}

TEST(AddressKey, DiffersInEveryInput) {
  std::set<std::string> keys;
  const auto add = [&](auto change) {
    AddressInputs inputs;
    change(inputs);
    keys.insert(address_key(inputs).substr(address_key(inputs).size() - 16));
  };
  add([](AddressInputs&) {});
  add([](AddressInputs& i) { i.uid = 7; });
  add([](AddressInputs& i) { i.host = "other"; });
  add([](AddressInputs& i) { i.program = "/opt 1 2"; });
  add([](AddressInputs& i) { i.slurm_job = "1"; });
  add([](AddressInputs& i) { i.slurm_step = "1"; });
  add([](AddressInputs& i) { i.cuda_visible_devices = ""; });
  EXPECT_EQ(keys.size(), 7u);
}

TEST(DaemonName, IsChecked) {
  for (const char* good : {"default", "a", "GPU_0-b", "01234567890123456789012345678901"})
    EXPECT_NO_THROW(check_daemon_name(good)) << good;
  for (const char* bad : {"", "a b", "../x", "a.b", "\xc3\xa9", "012345678901234567890123456789012"})
    EXPECT_THROW(check_daemon_name(bad), UsageError) << bad;
}

TEST_F(AddressTest, TheFolderIsPrivate) {
  EXPECT_EQ(runtime_folder(), folder + "/run");
  struct stat info {};
  ASSERT_EQ(stat((folder + "/run").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777u, 0700u);
  EXPECT_EQ(runtime_folder(), folder + "/run") << "the same one again";
}

TEST_F(AddressTest, AFolderThatOthersMayReadIsRefused) {
  fs::create_directory(folder + "/run");
  chmod((folder + "/run").c_str(), 0750);
  expect_refusal("mode 0750");
  chmod((folder + "/run").c_str(), 01777);
  expect_refusal("mode 1777");
}

TEST_F(AddressTest, ALinkOrAFileIsRefused) {
  fs::create_directory(folder + "/real");
  chmod((folder + "/real").c_str(), 0700);
  fs::create_directory_symlink(folder + "/real", folder + "/run");
  expect_refusal("a symbolic link");
  fs::remove(folder + "/run");
  std::ofstream(folder + "/run") << "x";
  expect_refusal("no folder");
}

TEST_F(AddressTest, AnotherOwnersFolderIsRefused) {
  fs::create_directory(folder + "/run");
  if (chown((folder + "/run").c_str(), 12345, 12345) != 0) GTEST_SKIP() << "only root can give a folder away";
  expect_refusal("a folder of user 12345");
}

TEST_F(AddressTest, WithoutVariableTheSessionsFolder) {
  unsetenv("CRYORED_RUNTIME_DIR");
  const std::string session = folder + "/session";
  fs::create_directory(session);
  setenv("XDG_RUNTIME_DIR", session.c_str(), 1);
  EXPECT_EQ(runtime_folder(), session + "/cryored");
}

TEST_F(AddressTest, TheBuildIsPartOfTheKey) {
  const Address before = find_address("default", folder);
  std::ofstream(folder + "/cryored") << "program, built again";
  EXPECT_NE(find_address("default", folder).key, before.key);
  fs::remove(folder + "/cryored");
  EXPECT_THROW(find_address("default", folder), SystemError);
}

TEST_F(AddressTest, ASocketPathThatIsTooLongIsAnError) {
  EXPECT_NO_THROW(socket_address(std::string(107, 'a')));
  EXPECT_THROW(socket_address(std::string(108, 'a')), SystemError);
}

TEST_F(AddressTest, OneLockPerAddress) {
  const Address address = find_address("default", folder);
  EXPECT_FALSE(daemon_lives(address));
  {
    const DaemonLock first(address);
    EXPECT_TRUE(first.held());
    EXPECT_TRUE(first.still_ours());
    EXPECT_TRUE(daemon_lives(address));
    EXPECT_FALSE(DaemonLock(address, 20).held());
    EXPECT_TRUE(daemon_lives(address)) << "who did not get it must not free it";
    EXPECT_TRUE(DaemonLock(find_address("other", folder), 20).held());
    fs::remove(address.lock());
    EXPECT_FALSE(first.still_ours());
  }
  EXPECT_FALSE(daemon_lives(address));
  EXPECT_FALSE(fs::exists(address.lock()));
}

TEST_F(AddressTest, WhoListensLivesAlthoughACleanerTookTheLock) {
  const Address address = find_address("default", folder);
  const sockaddr_un name = socket_address(address.socket());
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  EXPECT_FALSE(daemon_lives(address)) << "a socket alone is stale";
  ASSERT_EQ(listen(listener, 1), 0);
  EXPECT_TRUE(daemon_lives(address));
  std::ofstream(address.lock()) << "";
  EXPECT_TRUE(daemon_lives(address)) << "the lock of one that came and went";
  close(listener);
  EXPECT_FALSE(daemon_lives(address));
  EXPECT_FALSE(daemon_lives({folder + "/" + std::string(100, 'a'), "default-0"})) << "no socket can have that path";
}

TEST_F(AddressTest, AKilledDaemonsLockIsFree) {
  const Address address = find_address("default", folder);
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const DaemonLock lock(address);
    const char held = lock.held() ? 'y' : 'n';
    if (write(ready[1], &held, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char held = 0;
  ASSERT_EQ(read(ready[0], &held, 1), 1);
  EXPECT_EQ(held, 'y');
  EXPECT_TRUE(daemon_lives(address));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(daemon_lives(address));
  EXPECT_TRUE(DaemonLock(address).held()) << "the stale file is taken over";
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace cryored::daemon
