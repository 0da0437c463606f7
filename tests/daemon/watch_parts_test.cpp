// What a watching daemon is made of: claims, stillness, and finding request files.

#include <dirent.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "core/base/error.hpp"
#include "daemon/claim.hpp"
#include "daemon/exchange.hpp"
#include "daemon/folder_watch.hpp"
#include "tests/cli/process.hpp"

namespace {
std::atomic<int> readdir_error{0};
}

/// In front of libc's: fails with that error.
extern "C" dirent* readdir(DIR* stream) {
  static const auto real = reinterpret_cast<dirent* (*)(DIR*)>(dlsym(RTLD_NEXT, "readdir"));
  if (readdir_error == 0) return real(stream);
  errno = readdir_error;
  return nullptr;
}

namespace cryored::daemon {
namespace {

namespace fs = std::filesystem;
using cryored_test::ScratchFolder;
using cryored_test::write_file;

TEST(Claim, OfManyOneMakesTheFile) {
  const ScratchFolder scratch;
  for (int round = 0; round < 50; ++round) {
    const std::string path = scratch / ("answer " + std::to_string(round));
    std::atomic<int> winners{0}, winner{-1};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&, i] {
        if (create_exclusively(path, "by " + std::to_string(i))) ++winners, winner = i;
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(cryored_test::read_file(path), "by " + std::to_string(winner));
  }
  EXPECT_EQ(scratch.names().size(), 50u) << "no temporary file stays";
}

TEST(Claim, WhereNoFileCanBeMadeItSaysSo) {
  try {
    create_exclusively("/nonexistent/folder/answer", "");
    FAIL();
  } catch (const SystemError& error) {
    EXPECT_NE(std::string(error.what()).find("/nonexistent/folder"), std::string::npos);
  }
}

TEST(Claim, ADeadHolderIsKnownALivingOneIsNot) {
  EXPECT_FALSE(holder_is_dead(own_holder()));
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string holder = own_holder();
    _exit(write(ends[1], holder.data(), holder.size()) == static_cast<ssize_t>(holder.size()) ? 0 : 1);
  }
  char text[512];
  const ssize_t count = read(ends[0], text, sizeof text);
  ASSERT_GT(count, 0);
  const std::string holder(text, static_cast<std::size_t>(count));
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(holder_is_dead(holder)) << "a zombie computes nothing";
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(holder_is_dead(holder));
  EXPECT_FALSE(holder_is_dead("x" + holder)) << "another machine: nobody knows";
  for (const char* odd : {"", "/", "//", "///", "a/b/c/d", "12"}) EXPECT_FALSE(holder_is_dead(odd)) << odd;
  close(ends[0]);
  close(ends[1]);
}

TEST(Claim, GenerationsAreCounted) {
  const ScratchFolder scratch;
  const std::string star = scratch / "x y.star";
  EXPECT_EQ(highest_generation(star, "0a"), -1);
  write_file(answer_file(star, "0a", 0), "");
  write_file(answer_file(star, "0a", 1), "");
  write_file(answer_file(star, "0b", 2), "");
  EXPECT_EQ(highest_generation(star, "0a"), 1);
}

TEST(Stillness, CountsOnlyWhatWasWatched) {
  Stillness still(2);
  EXPECT_FALSE(still.see(7, 100)) << "the first look tells nothing";
  EXPECT_FALSE(still.see(7, 101));
  EXPECT_DOUBLE_EQ(still.seconds(), 1);
  EXPECT_FALSE(still.see(7, 1000)) << "this process was stopped: 2 s count";
  EXPECT_DOUBLE_EQ(still.seconds(), 3);
  EXPECT_TRUE(still.see(8, 1001));
  EXPECT_DOUBLE_EQ(still.seconds(), 0);
  EXPECT_FALSE(still.see(8, 900)) << "a clock that runs back";
  EXPECT_DOUBLE_EQ(still.seconds(), 0);
}

class Folders : public testing::TestWithParam<bool> {
 protected:
  FolderWatchOptions options() const { return {{scratch.path()}, GetParam(), 0.02, 30}; }
  std::string put(const std::string& name) const {
    write_file(scratch / name, "{}");
    return scratch / name;
  }
  /// What it knows, once it is as expected, or after 5 s.
  static std::set<std::string> see(FolderWatch& watch, const std::set<std::string>& expected) {
    for (int i = 0; i < 250 && watch.requests() != expected; ++i) watch.wait(0.02);
    return watch.requests();
  }
  ScratchFolder scratch;
};

constexpr const char* kEnding = ".cryored-request.json";

TEST_P(Folders, RequestsComeAndGo) {
  fs::create_directories(scratch / "a b/Ä");
  fs::create_directories(scratch / ".hidden");
  const std::string first = put(std::string("a b/Ä/x") + kEnding);
  put(std::string(".hidden/x") + kEnding);
  put("a b/notes.json");
  FolderWatch folders(options(), [](const std::string&, const Json&) {});
  EXPECT_EQ(folders.requests(), std::set<std::string>{first});
  const std::string second = put(std::string("y") + kEnding);
  EXPECT_EQ(see(folders, {first, second}), (std::set<std::string>{first, second}));
  // A tree that appears with its request in it already.
  fs::create_directories(scratch / "new/deep/er");
  const std::string third = put(std::string("new/deep/er/z") + kEnding);
  EXPECT_EQ(see(folders, {first, second, third}), (std::set<std::string>{first, second, third}));
  fs::rename(scratch / "new", scratch / "moved");
  const std::string moved = scratch / (std::string("moved/deep/er/z") + kEnding);
  EXPECT_EQ(see(folders, {first, second, moved}), (std::set<std::string>{first, second, moved}));
  const std::string fourth = put(std::string("moved/deep/er/w") + kEnding);
  EXPECT_EQ(see(folders, {first, second, moved, fourth}), (std::set<std::string>{first, second, moved, fourth}));
  fs::remove_all(scratch / "moved");
  fs::remove(second);
  EXPECT_EQ(see(folders, {first}), (std::set<std::string>{first}));
}

TEST_P(Folders, LinksAreNotFollowed) {
  const ScratchFolder outside;
  write_file(outside / (std::string("x") + kEnding), "{}");
  fs::create_directory_symlink(outside.path(), scratch / "link");
  FolderWatch folders(options(), [](const std::string&, const Json&) {});
  fs::create_directory_symlink(outside.path(), scratch / "later");
  const std::string own = put(std::string("x") + kEnding);
  EXPECT_EQ(see(folders, {own}), std::set<std::string>{own});
}

TEST_P(Folders, ARootThatGoesMayComeBack) {
  fs::create_directory(scratch / "root");
  FolderWatchOptions wanted = options();
  wanted.roots = {scratch / "root"};
  wanted.poll = 0.02;
  FolderWatch folders(wanted, [](const std::string&, const Json&) {});
  const std::string path = put(std::string("root/x") + kEnding);
  EXPECT_EQ(see(folders, {path}), std::set<std::string>{path});
  fs::remove_all(scratch / "root");
  EXPECT_EQ(see(folders, {}), std::set<std::string>{});
  fs::create_directory(scratch / "root");
  put(std::string("root/x") + kEnding);
  EXPECT_EQ(see(folders, {path}), std::set<std::string>{path});
}

// EACCES stands for the errors of a file server that does not answer.
TEST_P(Folders, WhatCannotBeSeenForAWhileIsNotForgotten) {
  constexpr unsigned nobody = 65534;
  fs::create_directories(scratch / "root/sub");
  const std::string path = put(std::string("root/sub/x") + kEnding);
  const bool is_root = geteuid() == 0;  // whom no mode keeps out
  for (const char* name : {"root", "root/sub"})
    if (is_root) {
      ASSERT_EQ(chown((scratch / name).c_str(), nobody, nobody), 0);
    }
  fs::permissions(scratch.path(), fs::perms::group_exec, fs::perm_options::add);
  FolderWatchOptions wanted = options();
  wanted.roots = {scratch / "root"};
  wanted.second_look = 0.02;
  std::map<std::string, int> unreadable;
  FolderWatch folders(wanted, [&](const std::string& event, const Json& fields) {
    if (event == "watch.unreadable") ++unreadable[fields["folder"]];
  });
  fs::permissions(scratch / "root", fs::perms::none);
  if (is_root) setfsuid(nobody);
  for (int i = 0; i < 10; ++i) folders.wait(0.02);
  EXPECT_EQ(folders.requests(), std::set<std::string>{path});
  EXPECT_EQ(unreadable, (std::map<std::string, int>{{scratch / "root", 1}, {scratch / "root/sub", 1}}));
  if (is_root) setfsuid(0);
  fs::permissions(scratch / "root", fs::perms::owner_all);
  const std::string second = put(std::string("root/sub/y") + kEnding);
  EXPECT_EQ(see(folders, {path, second}), (std::set<std::string>{path, second}));
}

// As of a file server that opens the folder and does not give its names.
TEST_P(Folders, AListingThatFailsIsNotedOnce) {
  FolderWatchOptions wanted = options();
  wanted.second_look = 0.02;
  const std::string path = put(std::string("x") + kEnding);
  int unreadable = 0;
  FolderWatch folders(wanted,
                      [&](const std::string& event, const Json&) { unreadable += event == "watch.unreadable"; });
  const auto fail_for_a_while = [&](const std::string& change) {
    put(change);
    readdir_error = EIO;
    for (int i = 0; i < 10; ++i) folders.wait(0.02);
    readdir_error = 0;
  };
  fail_for_a_while("a");
  EXPECT_EQ(unreadable, 1);
  EXPECT_EQ(folders.requests(), std::set<std::string>{path});
  const std::string second = put(std::string("y") + kEnding);
  EXPECT_EQ(see(folders, {path, second}), (std::set<std::string>{path, second}));
  for (int i = 0; i < 5; ++i) folders.wait(0.02);
  fail_for_a_while("b");
  EXPECT_EQ(unreadable, 2) << "it has been seen in between";
}

TEST_P(Folders, MoreEventsThanTheKernelKeeps) {
  std::ifstream limit_file("/proc/sys/fs/inotify/max_queued_events");
  int limit = 0;
  limit_file >> limit;
  if (limit <= 0 || limit > 50000) GTEST_SKIP() << "max_queued_events is " << limit;
  FolderWatch folders(options(), [](const std::string&, const Json&) {});
  fs::create_directory(scratch / "d");
  for (int i = 0; i < limit; ++i) {
    const std::string name = scratch / ("n" + std::to_string(i % 100));
    std::ofstream(name) << "";
    fs::remove(name);
  }
  const std::string path = put(std::string("d/x") + kEnding);
  EXPECT_EQ(see(folders, {path}), std::set<std::string>{path});
}

TEST_P(Folders, AMissingRootIsAnError) {
  FolderWatchOptions wanted = options();
  wanted.roots = {scratch / "none"};
  EXPECT_THROW(FolderWatch(wanted, [](const std::string&, const Json&) {}), SystemError);
}

INSTANTIATE_TEST_SUITE_P(Methods, Folders, testing::Bool(),
                         [](const auto& method) { return method.param ? "Polling" : "Inotify"; });

TEST(WatchMethod, IsNamed) {
  EXPECT_EQ(watch_method("/nonexistent"), "unknown");
  const ScratchFolder scratch;
  EXPECT_NE(watch_method(scratch.path()), "unknown");
}

}  // namespace
}  // namespace cryored::daemon
