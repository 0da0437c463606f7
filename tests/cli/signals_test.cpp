// Temporary files on SIGTERM, and how many threads a run takes.

#include "cli/signals.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/threads.hpp"
#include "core/base/atomic_file.hpp"
#include "tests/cli/process.hpp"

namespace cryored {
namespace {

using cryored_test::ScratchFolder;

TEST(Signals, TemporaryFilesOfThisRunAreRemoved) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    const ScratchFolder folder;
    const std::string result = folder / "result.mrc";
    cryored_test::write_file(folder / ".result.mrc.1.0.tmp", "of another process");
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      remove_temporary_files_on_signal({result});
      AtomicFile file(result, AtomicFile::Naming::from_the_start);
      file.write("half of a map");
      const char byte = 1;
      if (write(ready[1], &byte, 1) != 1) _exit(3);
      for (;;) pause();
    }
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    EXPECT_EQ(folder.names().size(), 2u) << "the temporary file is there while the run lasts";
    kill(child, number);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), number);
    EXPECT_EQ(folder.names(), std::vector<std::string>{".result.mrc.1.0.tmp"});
    close(ready[0]);
    close(ready[1]);
  }
}

class ThreadsTest : public testing::Test {
 protected:
  ThreadsTest() { sched_getaffinity(0, sizeof before_, &before_); }
  ~ThreadsTest() override {
    sched_setaffinity(0, sizeof before_, &before_);
    unsetenv("CRYORED_LOCAL_RANKS");
  }
  cpu_set_t before_;
};

TEST_F(ThreadsTest, TheAffinityMaskCounts) {
  int first = 0;
  while (!CPU_ISSET(first, &before_)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(usable_processors(), 1);
  EXPECT_EQ(share_of_processors(2), 1) << "never none";
}

TEST_F(ThreadsTest, WhatSlurmGaveTheJobHereCounts) {
  setenv("SLURM_CPUS_ON_NODE", "1", 1);
  const int outside = usable_processors();
  setenv("SLURM_JOB_ID", "7", 1);
  EXPECT_EQ(usable_processors(), 1);
  setenv("SLURM_CPUS_ON_NODE", "100000", 1);
  EXPECT_EQ(usable_processors(), outside) << "outside a job it says nothing";
  unsetenv("SLURM_JOB_ID");
  unsetenv("SLURM_CPUS_ON_NODE");
}

TEST_F(ThreadsTest, RanksOnThisMachineShareIt) {
  EXPECT_EQ(concurrent_runs(1, false, ""), 1) << "outside MPI a map has the machine to itself";
  EXPECT_EQ(concurrent_runs(1, false, "3"), 2) << "a leader and two workers: both halves at once";
  EXPECT_EQ(concurrent_runs(0, true, "3"), 1) << "the joined map comes alone";
  EXPECT_EQ(concurrent_runs(2, false, "9"), 2) << "there are two halves however many ranks";
  EXPECT_EQ(concurrent_runs(0, false, "9"), 8) << "classes are spread over all workers";
  EXPECT_EQ(concurrent_runs(1, false, "2"), 1) << "the other half's rank is on another machine";
  EXPECT_EQ(concurrent_runs(1, false, "nonsense"), 1);
}

}  // namespace
}  // namespace cryored
