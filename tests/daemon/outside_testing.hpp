#pragma once
// What the tests of log, metrics and status share.

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "daemon/status.hpp"

namespace cryored_test {

inline std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream all;
  all << file.rdbuf();
  return all.str();
}

/// One of everything, with awkward names.
inline cryored::daemon::Snapshot busy_snapshot() {
  using namespace cryored::daemon;
  Snapshot s;
  s.self.name = "default";
  s.self.pid = 4711;
  s.self.version = "1.2.3";
  s.self.uptime = 90.5;
  s.self.idle_timeout = 600;
  s.self.resident_memory = 310000000;
  s.self.watched = {
      "/data/gr\xc3\xb6\xc3\x9f"
      "e"};
  Snapshot::DeviceState device;
  device.device = {"cuda:0", "GPU 0: \"quoted\" \\ card", 80000000000u, false};
  device.running = "0123456789abcdef";
  device.map = "run_it004_half1_class001";
  device.busy = 12.25;
  device.requests = 7;
  device.loaded = {{"unet", "abcd", "cuda:0", 9}};
  s.devices = {device};
  s.memory = {16000000000u, 1200000000u};
  Snapshot::RequestState running;
  running.id = "0123456789abcdef";
  running.state = "running";
  running.facts.job = "/p/Refine3D/job012/run";
  running.facts.map = "run_it004_half1_class001";
  running.device = "cuda:0";
  running.running = 3.5;
  Snapshot::RequestState waiting = running;
  waiting.state = "waiting";
  waiting.ahead = 1;
  s.requests = {running, waiting};
  Snapshot::MapState map;
  map.facts.job = running.facts.job;
  map.facts.map = "run_it003_half1_class001";
  map.facts.iteration = 3;
  map.facts.lambda = 0.412;
  map.facts.resolution = 7.5;
  map.facts.device = "GPU 0";
  map.seconds = 2.5;
  Snapshot::MapState failed = map;
  failed.exit = 1;
  failed.error = "bad\x1b[31m file";
  Snapshot::JobState job;
  job.job = "/p/Refine3D/job\n012\\run\"\x1b[2J";
  job.done = 6;
  job.failed = 1;
  job.recent = {failed, map};
  s.jobs = {job};
  s.counters.submitted = 9;
  s.counters.done = 6;
  s.counters.failed = 1;
  return s;
}

}  // namespace cryored_test
