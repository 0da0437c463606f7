// Disks, folders and files that fail the daemon, and names that are hard to carry.

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/faults/faults.hpp"

namespace cryored_test {
namespace {

namespace fs = std::filesystem;

class FaultsDisks : public FaultTest {
 protected:
  FaultsDisks() { write_request({"--prior", "gaussian"}); }

  /// A disk of its own in a folder, seen by this test alone.
  bool small_disk(const std::string& folder, const char* size) {
    fs::create_directory(folder);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    return mount("tmpfs", folder.c_str(), "tmpfs", 0, (std::string("size=") + size + ",mode=0700").c_str()) == 0;
  }
  void result_to(const std::string& path) {
    files.general["rlnExtReconsResult"] = path;
    write_file(files.star(), files.star_text());
  }
  void expect_exit_1(const Json& done, const std::vector<std::string>& parts) const {
    EXPECT_EQ(done["exit"], 1) << done;
    for (const auto& part : parts)
      EXPECT_NE(done["stderr"].get<std::string>().find(part), std::string::npos) << part << " in " << done;
  }
  void expect_good() {
    files.general.clear();
    write_file(files.star(), files.star_text());
    const Json done = ask();
    EXPECT_EQ(done["exit"], 0) << done;
    EXPECT_TRUE(take_map());
  }

  /// A word for each of the ways in which a request's arrays can be incomplete.
  void incomplete(int rounds) {
    const auto process = start_daemon();
    int cases = 0;
    for (int round = 0; round < rounds; ++round)
      for (const char* ending : {"_data_real.mrc", "_data_imag.mrc", "_weight.mrc"}) {
        const std::string path = files.file(ending), whole = read_file(path);
        const auto size = static_cast<int>(whole.size());
        for (const int kept : {size - 1, between(1025, size - 2), 1024, between(1, 1023), 0, -1}) {
          fs::remove(path);
          if (kept >= 0) write_file(path, whole.substr(0, static_cast<std::size_t>(kept)));
          const Outcome outcome = run(plugin_call());
          EXPECT_EQ(outcome.code, 1) << kept;
          EXPECT_NE(outcome.err.find(path), std::string::npos) << outcome.err;
          EXPECT_FALSE(exists(files.result()));
          ++cases;
          // It arrives late, and RELION is run again.
          write_file(path, whole);
          if (kept == size - 1) {
            EXPECT_EQ(run(plugin_call()).code, 0);
            EXPECT_TRUE(take_map());
          }
        }
      }
    EXPECT_EQ(litter(), std::vector<std::string>{});
    EXPECT_EQ(status()["daemon"]["pid"], process->pid());
    report("MRC files missing, empty, without their last bytes, or late", cases,
           "exit 1 with the file's name, nothing published; the map is right once the file is whole");
  }

  /// Arrays that are cut while the daemon has them mapped.
  void cut_while_read(int count) {
    options_ = {"--prior", "red", "--weights", "builtin:wait=0.3"};
    const auto process = start_daemon();
    for (int i = 0; i < count; ++i) {
      const std::string path = files.file(
          std::vector<std::string>{"_data_real.mrc", "_data_imag.mrc", "_weight.mrc"}[static_cast<std::size_t>(i % 3)]);
      const std::string whole = read_file(path);
      Json done;
      std::thread client([&] { done = ask(); });
      for (int k = 0; k < 2000; ++k, sleep_ms(2)) {
        const Json now = status();
        if (!now["requests"].empty() && now["requests"][0]["state"] == "running") break;
      }
      sleep_ms(100);
      fs::resize_file(path, i % 2 == 0 ? 0 : 1024);
      client.join();
      expect_exit_1(done, {path, "shorter while it was read"});
      EXPECT_FALSE(exists(files.result()));
      write_file(path, whole);
    }
    EXPECT_EQ(status()["daemon"]["pid"], process->pid()) << "the same daemon";
    options_ = {"--prior", "gaussian"};
    expect_good();
    report("MRC files cut while they are read (SIGBUS)", count,
           "exit 1 with the file's name, nothing published; the same daemon serves on");
  }
};
class FaultsLongDisks : public FaultsDisks {};

TEST_F(FaultsDisks, Incomplete) { incomplete(1); }
TEST_F(FaultsLongDisks, Incomplete) { incomplete(20); }
TEST_F(FaultsDisks, CutWhileRead) { cut_while_read(3); }
TEST_F(FaultsLongDisks, CutWhileRead) { cut_while_read(100); }

TEST_F(FaultsDisks, FullDisk) {
  const std::string disk = runtime / "disk";
  if (!small_disk(disk, "64k")) GTEST_SKIP() << "mounting a small disk takes root: " << strerror(errno);
  Invocation with_log = daemon();
  with_log.words.back() = disk + "/log";
  const auto process = start_daemon(with_log);
  write_file(disk + "/old.mrc", "an older map");
  const std::string filler(200000, 'x');
  {
    std::ofstream fill(disk + "/filler", std::ios::binary);
    fill << filler;
  }
  for (int i = 0; i < 5; ++i) {
    for (const char* name : {"/new.mrc", "/old.mrc"}) {
      result_to(disk + name);
      expect_exit_1(ask(), {disk + name, "No space left on device"});
    }
  }
  EXPECT_EQ(read_file(disk + "/old.mrc"), "an older map");
  EXPECT_FALSE(exists(disk + "/new.mrc"));
  EXPECT_EQ(std::distance(fs::directory_iterator(disk), {}), 3) << "log, filler, old.mrc";
  expect_good();
  fs::remove(disk + "/filler");
  result_to(disk + "/new.mrc");
  EXPECT_EQ(ask()["exit"], 0);
  EXPECT_EQ(read_file(disk + "/new.mrc"), expected);
  report("disk of the result and of the log full (tmpfs of 64 kB)", 10,
         "exit 1, nothing published, the older map stays, the daemon serves on; good again with space");
}

TEST_F(FaultsDisks, FullDiskOfTheRuntimeFolder) {
  if (!small_disk(folder_of_daemon(), "4k")) GTEST_SKIP() << "mounting a small disk takes root: " << strerror(errno);
  {
    std::ofstream fill(folder_of_daemon() + "/filler", std::ios::binary);
    fill << std::string(20000, 'x');
  }
  const Outcome outcome = run(plugin_call());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(take_map());
  report("disk of the runtime folder full", 1,
         "the map is made" + std::string(outcome.err.empty() ? "" : ", by a helper process"));
}

TEST_F(FaultsDisks, FileSizeLimit) {
  const auto process = start_daemon();
  const rlimit small{2000, RLIM_INFINITY}, none{RLIM_INFINITY, RLIM_INFINITY};
  int cases = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(prlimit(process->pid(), RLIMIT_FSIZE, &small, nullptr), 0);
    expect_exit_1(ask(), {files.result(), "File too large"});
    EXPECT_FALSE(exists(files.result()));
    ++cases;
    ASSERT_EQ(prlimit(process->pid(), RLIMIT_FSIZE, &none, nullptr), 0);
  }
  EXPECT_EQ(litter(), std::vector<std::string>{});
  expect_good();
  report("file-size limit (quota) on the daemon, its log included", cases,
         "exit 1, nothing published, the daemon serves on");
}

TEST_F(FaultsDisks, LimitsOfTheFirstCallerDoNotBindTheDaemon) {
  Invocation invocation = plugin_call();
  const std::string limits = "ulimit -S -f 1; ulimit -S -t 5; ulimit -S -n 64; exec \"$@\"";
  invocation.words.insert(invocation.words.begin(), {"sh", "-c", limits, "sh"});
  const Outcome outcome = run(invocation);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(take_map());
  ASSERT_EQ(daemons().size(), 1u);
  rlimit now{}, own{};
  for (const auto kind : {RLIMIT_FSIZE, RLIMIT_CPU, RLIMIT_NOFILE}) {
    ASSERT_EQ(prlimit(daemons()[0], kind, nullptr, &now), 0);
    ASSERT_EQ(getrlimit(kind, &own), 0);
    EXPECT_EQ(now.rlim_cur, own.rlim_max) << kind;
  }
  report("soft limits (file size, processor time, open files) of the plugin that starts the daemon", 3,
         "the daemon takes the hard ones, so that it serves the next job");
}

TEST_F(FaultsDisks, DevFull) {
  Invocation invocation = daemon();
  invocation.words.resize(invocation.words.size() - 2);  // no --log: its events go to stderr
  invocation.words.insert(invocation.words.begin(), {"sh", "-c", "exec \"$@\" >/dev/full 2>&1", "sh"});
  const auto process = start_daemon(invocation);
  expect_good();
  fs::create_symlink("/dev/full", scratch / "full.mrc");
  result_to(scratch / "full.mrc");
  expect_exit_1(ask(), {scratch / "full.mrc", "a device"});
  EXPECT_TRUE(fs::is_symlink(scratch / "full.mrc"));
  fs::remove(scratch / "full.mrc");
  expect_good();
  Invocation told = plugin_call();
  told.words.insert(told.words.begin(), {"sh", "-c", "exec \"$@\" >/dev/full", "sh"});
  const Outcome outcome = run(told);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("standard output: cannot be written"), std::string::npos) << outcome.err;
  EXPECT_TRUE(take_map());
  report("/dev/full as the daemon's output, as the result, as the plugin's output", 3,
         "serves on; exit 1, device untouched; exit 1, map in place");
}

TEST_F(FaultsDisks, ReadOnlyFolder) {
  Invocation invocation = daemon();
  invocation.obey_permissions = true;
  const auto process = start_daemon(invocation);
  fs::create_directory(scratch / "closed");
  write_file(scratch / "closed/old.mrc", "an older map");
  ASSERT_EQ(chmod((scratch / "closed").c_str(), 0555), 0);
  for (const char* name : {"closed/new.mrc", "closed/old.mrc"}) {
    result_to(scratch / name);
    expect_exit_1(ask(), {scratch / name, "Permission denied"});
  }
  EXPECT_EQ(read_file(scratch / "closed/old.mrc"), "an older map");
  EXPECT_FALSE(exists(scratch / "closed/new.mrc"));
  ASSERT_EQ(chmod((scratch / "closed").c_str(), 0755), 0);
  fs::remove_all(scratch / "closed");
  expect_good();
  report("result folder without write permission", 2, "exit 1, nothing published, the older map stays");
}

TEST_F(FaultsDisks, LinksThatPointOutside) {
  const auto process = start_daemon();
  const std::string outside = runtime / "outside";
  fs::create_directory(outside);
  write_file(outside + "/map", "precious");
  write_file(outside + "/record", "precious");
  fs::create_symlink(outside + "/map", files.result());
  fs::create_symlink(outside + "/record", files.record());
  // Reading through links is what users with several disks do.
  fs::rename(files.file("_weight.mrc"), outside + "/weight");
  fs::create_symlink(outside + "/weight", files.file("_weight.mrc"));
  EXPECT_EQ(ask()["exit"], 0);
  EXPECT_FALSE(fs::is_symlink(files.result()));
  EXPECT_FALSE(fs::is_symlink(files.record()));
  EXPECT_TRUE(take_map());
  EXPECT_EQ(read_file(outside + "/map"), "precious");
  EXPECT_EQ(read_file(outside + "/record"), "precious");
  fs::create_symlink(outside + "/new", files.result());
  EXPECT_EQ(ask()["exit"], 0);
  EXPECT_TRUE(take_map());
  EXPECT_FALSE(exists(outside + "/new"));
  EXPECT_EQ(std::distance(fs::directory_iterator(outside), {}), 3);
  report("links of the result and the record to files outside the job folder", 3,
         "replaced by the files, never followed; inputs are read through links");
}

TEST_F(FaultsDisks, HardNames) {
  const std::vector<std::string> names{
      "with space",  "two  spaces ",       "\xc3\xbcml\xc3\xa4ut \xe4\xb8\xad\xe6\x96\x87",
      "new\nline",   "tab\there",          "quote'\"s",
      "back\\slash", "$(touch x)`;&|",     "-rf",
      "#hash %s",    "latin-\xe9 no UTF-8"};
  int through_daemon = 0;
  for (const auto& name : names) {
    const std::string folder = scratch / name;
    fs::create_directory(folder);
    files.folder = folder;
    files.written_folder = ".";  // RELION's names are relative to its working directory
    files.write();
    Invocation invocation = plugin_call();
    invocation.folder = folder;
    invocation.words.back() = "./" + files.stem + "_external_reconstruct.star";
    const Outcome outcome = run(invocation);
    EXPECT_EQ(outcome.code, 0) << name << ": " << outcome.err;
    EXPECT_EQ(read_file(files.result()), expected) << name;
    through_daemon += outcome.err.empty();
    const Json record = Json::parse(read_file(files.record()), nullptr, false);
    EXPECT_TRUE(record.is_object()) << name;
    files.written_folder.clear();
    fs::remove_all(folder);
  }
  EXPECT_EQ(through_daemon, static_cast<int>(names.size()) - 1) << "all but the one that JSON cannot hold";
  files.folder = scratch.path();
  EXPECT_EQ(litter(), std::vector<std::string>{});
  report("folders with spaces, quotes, newline, tab, non-ASCII, no UTF-8 in their names",
         static_cast<long>(names.size()), "0 wrong or missing maps; what is no UTF-8 in a helper process");
}

}  // namespace
}  // namespace cryored_test
