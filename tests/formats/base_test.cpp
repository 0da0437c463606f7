// AtomicFile under every refusal of the system that a test can bring about, and SHA-256.

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#include "core/base/atomic_file.hpp"
#include "core/base/atomic_stream.hpp"
#include "core/base/folder_lock.hpp"
#include "core/base/output_path.hpp"
#include "core/base/sha256.hpp"
#include "formats_testing.hpp"

namespace cryored::testing {
namespace {

class AtomicFileNaming : public ::testing::TestWithParam<AtomicFile::Naming> {};

TEST_P(AtomicFileNaming, PublishesOnlyAtCommit) {
  const TempFolder folder;
  const std::string path = folder / "map.mrc";
  for (const std::string old : {"", "old"}) {  // a new name, and one that is taken
    AtomicFile file(path, GetParam());
    file.write("new ");
    file.write("content");
    if (!old.empty()) write_bytes(path, old);
    EXPECT_EQ(read_bytes(path), old);
    file.overwrite(0, "NEW", 3);
    file.commit();
    EXPECT_EQ(read_bytes(path), "NEW content");
    std::filesystem::remove(path);
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST_P(AtomicFileNaming, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  {
    AtomicFile file(folder / "map.mrc", GetParam());
    file.write("half of it");
    EXPECT_FALSE(std::filesystem::exists(folder / "map.mrc"));
    if (GetParam() == AtomicFile::Naming::from_the_start) {
      ASSERT_EQ(folder.names().size(), 1u);
      EXPECT_EQ(folder.names()[0].substr(0, 9), ".map.mrc.");
    }
  }
  EXPECT_TRUE(folder.names().empty());
}

INSTANTIATE_TEST_SUITE_P(Both, AtomicFileNaming,
                         ::testing::Values(AtomicFile::Naming::at_the_end, AtomicFile::Naming::from_the_start));

TEST(TemporaryFolder, NamesTheVariableWhenItsFolderIsMissing) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before ? before : "";
  setenv("TMPDIR", "/scratch of another node", 1);
  const std::string message = message_of<SystemError>([] { TemporaryFolder folder; });
  before ? setenv("TMPDIR", kept.c_str(), 1) : unsetenv("TMPDIR");
  for (const char* part : {"/scratch of another node", "TMPDIR", "No such file"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(AtomicFile, LargeFilesInOddPieces) {
  const TempFolder folder;  // 40 MB: pieces of it are sent to the disk while the rest is written
  std::vector<std::uint32_t> values(10'000'000);
  std::iota(values.begin(), values.end(), 0u);
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  const std::size_t size = values.size() * sizeof values[0];
  AtomicFile file(folder / "large");
  for (std::size_t at = 0, piece = 1; at < size; at += piece, piece = std::min<std::size_t>(3 * piece + 7, 19'000'001))
    file.write(bytes + at, std::min(piece, size - at));
  file.commit();
  EXPECT_TRUE(read_bytes(folder / "large") == std::string(bytes, size));
}

TEST(AtomicStream, EqualsAFileOnDisksAndInMemory) {
  // The second serves no writing past the cache.
  std::vector<std::filesystem::path> folders{std::filesystem::temp_directory_path()};
  if (std::filesystem::is_directory("/dev/shm")) folders.emplace_back("/dev/shm");
  std::string content(13 * (1 << 20) + 5, 0);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761u >> 24);
  for (const auto& folder : folders)
    for (const std::size_t size : {3ul, 4ul << 20, (4ul << 20) + 1, 8ul << 20, content.size()}) {
      const std::string path = folder / ("cryored stream " + std::to_string(getpid()));
      AtomicStream file(path);
      for (std::size_t at = 0, piece = 1; at < size; at += piece, piece = std::min<std::size_t>(3 * piece + 7, 900'001))
        file.write(content.data() + at, std::min(piece, size - at));
      EXPECT_FALSE(std::filesystem::exists(path));
      file.commit("abc", 3);
      EXPECT_TRUE(read_bytes(path) == "abc" + content.substr(3, size - 3)) << folder << ", " << size;
      std::filesystem::remove(path);
    }
}

TEST(AtomicStream, PartsOfAReservationComeInAnyOrder) {
  const TempFolder folder;
  std::string content(21 * (1 << 20) + 5, 0);  // more than one buffer a reservation
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761u >> 24);
  constexpr std::size_t kPart = 36'000;
  AtomicStream file(folder / "large");
  file.write(content.data(), 1024);
  for (std::size_t begin = 1024; begin < content.size();) {
    const std::size_t count = std::min<std::size_t>(200 * kPart, content.size() - begin);
    file.reserve(count);
    {
      std::vector<std::jthread> threads;
      for (std::size_t first = 0; first < 3; ++first)
        threads.emplace_back([&, first] {
          for (std::size_t at = first * kPart; at < count; at += 3 * kPart)
            file.place(at, content.data() + begin + at, std::min(kPart, count - at));
        });
    }
    begin += count;
  }
  file.commit("abc", 3);
  EXPECT_TRUE(read_bytes(folder / "large") == "abc" + content.substr(3));
}

TEST(AtomicStream, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  {
    AtomicStream file(folder / "large");
    const std::string piece(5 << 20, 'x');
    file.write(piece.data(), piece.size());
  }
  EXPECT_TRUE(folder.names().empty());
}

TEST(AtomicFile, ModeFollowsUmask) {
  const TempFolder folder;
  const mode_t before = umask(027);
  write_text_atomically(folder / "a", "x");
  umask(before);
  struct stat info {};
  ASSERT_EQ(stat((folder / "a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST(AtomicFile, ModeFollowsTheUmaskOfAScope) {
  const TempFolder scratch;
  const auto mode = [&] {
    write_text_atomically(scratch / "map", "x");
    struct stat info {};
    EXPECT_EQ(stat((scratch / "map").c_str(), &info), 0);
    return info.st_mode & 0777;
  };
  const mode_t own = umask(022);
  {
    const FileUmaskScope group(002);
    EXPECT_EQ(mode(), 0664u) << "wider than this process's own";
    {
      const FileUmaskScope nobody(077);
      EXPECT_EQ(mode(), 0600u);
      std::thread([&] { EXPECT_EQ(mode(), 0644u) << "a scope is its thread's"; }).join();
    }
    EXPECT_EQ(mode(), 0664u);
  }
  EXPECT_EQ(mode(), 0644u);
  umask(own);
}

TEST(AtomicFile, TwoWritersOfOneNameDoNotMix) {
  const TempFolder folder;
  AtomicFile a(folder / "x"), b(folder / "x");
  a.write("aaaa");
  b.write("bb");
  a.commit();
  EXPECT_EQ(read_bytes(folder / "x"), "aaaa");
  b.commit();
  EXPECT_EQ(read_bytes(folder / "x"), "bb");
}

TEST(AtomicFile, RelativeNameAndLongName) {
  const TempFolder folder;
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_text_atomically("plain", "x");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_bytes(folder / "plain"), "x");
  const std::string longest(255, 'n');
  write_text_atomically(folder / longest, "y");
  EXPECT_EQ(read_bytes(folder / longest), "y");
  expect_parts(message_of<SystemError>([&] { write_text_atomically(folder / std::string(256, 'n'), "z"); }),
               {"nnnn", "File name too long", "Remedy"});
}

TEST(AtomicFile, MissingFolder) {
  const TempFolder folder;
  expect_parts(message_of<SystemError>([&] { AtomicFile file(folder / "absent/map.mrc"); }),
               {folder / "absent/map.mrc", "No such file or directory", "create the folder " + (folder / "absent")});
}

TEST(AtomicFile, FinalNameIsAFolder) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "map.mrc");
  expect_parts(message_of<SystemError>([&] { AtomicFile file(folder / "map.mrc"); }),
               {folder / "map.mrc", "Is a directory", "Remedy"});
  expect_parts(message_of<SystemError>([&] { AtomicFile file(folder.path() + "/"); }), {"no file name"});
  expect_parts(message_of<SystemError>([&] { AtomicFile file(""); }), {"no file name"});
}

TEST(AtomicFile, FolderAppearsUnderTheNameMeanwhile) {
  const TempFolder folder;
  {
    AtomicFile file(folder / "map.mrc");
    file.write("x");
    std::filesystem::create_directory(folder / "map.mrc");
    expect_parts(message_of<SystemError>([&] { file.commit(); }), {folder / "map.mrc", "Is a directory"});
  }
  EXPECT_EQ(folder.names(), std::vector<std::string>{"map.mrc"});
}

TEST(AtomicFile, DeviceIsRefusedAndStays) {
  expect_parts(message_of<SystemError>([] { AtomicFile file("/dev/full"); }), {"/dev/full", "device", "Remedy"});
  struct stat info {};
  ASSERT_EQ(stat("/dev/full", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

/// Runs `work` in a child process, whose limits and rights it may change. Returns its exit
/// status (-signal when killed) and puts what it returned as text into `text`.
int in_child(const std::function<std::string()>& work, std::string* text) {
  int ends[2];
  if (pipe(ends) != 0) return 99;
  const pid_t child = fork();
  if (child == 0) {
    int status = 0;
    std::string result;
    try {
      result = work();
    } catch (const Error& error) {
      result = error.what();
      status = error.exit_code();
    }
    if (write(ends[1], result.data(), result.size()) < 0) status = 98;
    _exit(status);
  }
  close(ends[1]);
  char buffer[4096];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    text->append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(AtomicFile, FileSizeLimitIsAnErrorAndNotASignal) {
  const TempFolder folder;
  std::string text;
  const int status = in_child(
      [&] {
        const rlimit limit{10000, 10000};
        setrlimit(RLIMIT_FSIZE, &limit);
        write_text_atomically(folder / "big", std::string(20000, 'x'));
        return std::string("written");
      },
      &text);
  EXPECT_EQ(status, 1) << text;
  expect_parts(text, {folder / "big", "after 10000 bytes", "File too large", "ulimit -f"});
  EXPECT_TRUE(folder.names().empty());
}

TEST(AtomicStream, AFaultOfItsThreadIsThrown) {
  const TempFolder folder;
  std::string text;
  const int status = in_child(
      [&] {
        const rlimit limit{6'000'000, 6'000'000};
        setrlimit(RLIMIT_FSIZE, &limit);
        AtomicStream file(folder / "big");
        const std::string piece(1 << 20, 'x');
        for (int i = 0; i < 11; ++i) file.write(piece.data(), piece.size());
        file.commit("x", 1);
        return std::string("written");
      },
      &text);
  EXPECT_EQ(status, 1) << text;
  expect_parts(text, {folder / "big", "File too large", "ulimit -f"});
  EXPECT_TRUE(folder.names().empty());
}

TEST(AtomicFile, FolderNotWritable) {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "locked");
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "locked", std::filesystem::perms(0555));
  std::string text;
  const int status = in_child(
      [&] {
        // Root may write anywhere, so it becomes somebody else.
        if (geteuid() == 0 && setuid(65534) != 0) return std::string("cannot drop rights");
        write_text_atomically(folder / "locked/map.mrc", "x");
        return std::string("written");
      },
      &text);
  EXPECT_EQ(status, 1) << text;
  expect_parts(text, {folder / "locked/map.mrc", "Permission denied", "make the folder " + (folder / "locked")});
}

TEST(AtomicFile, FullDisk) {
  const TempFolder folder;
  std::string text;
  const int status = in_child(
      [&] {
        // A file system of 64 kB, seen by this child only.
        const bool own = unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == 0 &&
                         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=64k") == 0;
        if (!own) _exit(77);
        std::string result;
        try {
          write_text_atomically(folder / "big", std::string(1 << 20, 'x'));
        } catch (const SystemError& error) {
          result = error.what();
        }
        for (const std::string& name : folder.names()) result += "\nleft behind: " + name;
        return result;
      },
      &text);
  if (status == 77) GTEST_SKIP() << "this machine does not allow mounting a small file system";
  EXPECT_EQ(status, 0) << text;
  expect_parts(text, {folder / "big", "No space left on device", "free space on the file system of " + folder.path()});
  EXPECT_EQ(text.find("left behind"), std::string::npos) << text;
}

TEST(AtomicFile, OverwriteStaysInside) {
  const TempFolder folder;
  AtomicFile file(folder / "x");
  file.write("12345");
  EXPECT_THROW(file.overwrite(4, "ab", 2), Error);
  EXPECT_THROW(file.overwrite(~std::uint64_t{0}, "ab", 2), Error);
}

// FIPS 180-4 examples.
TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_bytes("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_bytes("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, FileEqualsBytesAcrossPieces) {
  const TempFolder folder;
  std::string bytes(3'000'001, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  write_bytes(folder / "f", bytes);
  EXPECT_EQ(sha256_file(folder / "f"), sha256_bytes(bytes.data(), bytes.size()));
}

TEST(Sha256, MissingFileAndFolder) {
  const TempFolder folder;
  expect_parts(message_of<InputError>([&] { sha256_file(folder / "absent"); }), {folder / "absent", "No such file"});
  expect_parts(message_of<SystemError>([&] { sha256_file(folder.path()); }), {folder.path(), "Is a directory"});
}

TEST(FolderLock, OneAtATime) {
  const TemporaryFolder folder;
  const std::string file = folder / "lock", in = folder / "made";
  {
    const FolderLock first(file, folder.path().string(), "works in it");
    EXPECT_THROW(FolderLock(file, folder.path().string(), "works in it"), SystemError);
    const FolderLock of_folder(in, false);
    EXPECT_TRUE(of_folder.held());
    EXPECT_FALSE(FolderLock(in, false).held());
  }
  EXPECT_TRUE(FolderLock(in, true).held());
  EXPECT_NO_THROW(FolderLock(file, folder.path().string(), "works in it"));
  EXPECT_THROW(FolderLock(folder / "nowhere/lock", folder / "nowhere", "works in it"), SystemError);
}

TEST(OutputPath, TwoOutputsAreTwoFilesBeforeTheyAreThere) {
  const TemporaryFolder folder;
  const std::string path = folder / "new";
  EXPECT_THROW(refuse_same_output("--a", path, "--b", path), UsageError);
  EXPECT_THROW(refuse_same_output("--a", path, "--b", folder / "./new"), UsageError);
  EXPECT_NO_THROW(refuse_same_output("--a", path, "--b", folder / "newer"));
  std::ofstream(path) << "there";
  std::filesystem::create_hard_link(path, folder / "link");
  EXPECT_THROW(refuse_same_output("--a", path, "--b", folder / "link"), UsageError);
}

}  // namespace
}  // namespace cryored::testing
