// The daemon's log: one JSON object a line, bounded, and never a reason to end.

#include "daemon/log.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <regex>
#include <thread>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/temporary_folder.hpp"
#include "tests/daemon/outside_testing.hpp"

namespace cryored_test {
namespace {

using cryored::daemon::EventLog;
using cryored::daemon::LogLevel;
using cryored::daemon::LogOptions;
using Json = nlohmann::ordered_json;

std::vector<Json> lines_of(const std::string& path) {
  std::istringstream all(text_of(path));
  std::vector<Json> lines;
  for (std::string line; std::getline(all, line);) lines.push_back(Json::parse(line));
  return lines;
}

LogOptions options_for(const std::string& path) {
  LogOptions options;
  options.path = path;
  return options;
}

TEST(EventLog, OneObjectALineWithTimeLevelEventAndFields) {
  const cryored::TemporaryFolder folder;
  EventLog log(options_for(folder / "d.log"));
  log.write("done", {{"id", "ab"}, {"job", "a\nb\xff"}, {"seconds", 1.5}});
  log.write("done", {{"error", "disk full"}});
  log.write("watch", {{"warning", "polling"}});
  log.write(LogLevel::debug, "left out");
  const auto lines = lines_of(folder / "d.log");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].begin().key(), "time");
  EXPECT_TRUE(std::regex_match(lines[0]["time"].get<std::string>(),
                               std::regex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z")));
  EXPECT_EQ(lines[0]["level"], "info");
  EXPECT_EQ(lines[0]["event"], "done");
  EXPECT_EQ(lines[0]["job"], "a\nb\xef\xbf\xbd") << "escaped newline, replaced byte";
  EXPECT_EQ(lines[0]["seconds"], 1.5);
  EXPECT_EQ(lines[1]["level"], "error");
  EXPECT_EQ(lines[2]["level"], "warning");
  struct stat info {};
  ASSERT_EQ(stat((folder / "d.log").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST(EventLog, RotationKeepsToItsSizeAndFiles) {
  const cryored::TemporaryFolder folder;
  LogOptions options = options_for(folder / "d.log");
  options.max_bytes = 2000;
  options.kept_files = 2;
  EventLog log(options);
  for (int i = 0; i < 300; ++i) log.write("event", {{"number", i}});
  EXPECT_EQ(log.dropped(), 0u);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
    EXPECT_LE(entry.file_size(), 2000u) << entry.path();
    EXPECT_GT(lines_of(entry.path().string()).size(), 10u) << "whole lines only";
  }
  EXPECT_EQ(files, 3u);
  EXPECT_EQ(lines_of(folder / "d.log").back()["number"], 299);
}

TEST(EventLog, ThreadsDoNotMixTheirLines) {
  const cryored::TemporaryFolder folder;
  EventLog log(options_for(folder / "d.log"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) log.write("event", {{"text", std::string(100, 'x')}});
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(lines_of(folder / "d.log").size(), 800u);
}

TEST(EventLog, WhatIsNoRegularFileIsRefused) {
  const cryored::TemporaryFolder folder;
  EXPECT_THROW(EventLog(options_for("/dev/full")), cryored::SystemError) << "no regular file";
  EXPECT_THROW(EventLog(options_for(folder / "missing/d.log")), cryored::SystemError);
  std::filesystem::create_symlink("/tmp/elsewhere", folder / "link.log");
  EXPECT_THROW(EventLog(options_for(folder / "link.log")), cryored::SystemError);
}

TEST(EventLog, LevelsByName) {
  EXPECT_EQ(cryored::daemon::log_level_from("warning"), LogLevel::warning);
  EXPECT_THROW(cryored::daemon::log_level_from("loud"), cryored::UsageError);
}

}  // namespace
}  // namespace cryored_test
