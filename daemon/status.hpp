#pragma once
// Everything of a daemon that is visible from outside, as one value: for GET /v1/status (cryored status, cryored top)
// and GET /metrics. Times are in seconds, memory in bytes.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/job.hpp"

namespace cryored::daemon {

using Json = nlohmann::ordered_json;

struct Snapshot {
  // Of the daemon as a whole; filled by the server.
  struct Self {
    std::string name, host, version, commit, socket, log;
    int pid = 0;
    int protocol = 1;
    std::string started;  ///< UTC, ISO 8601
    double uptime = 0;
    double idle_timeout = 0;  ///< 0: never leaves
    double idle = 0;          ///< since when nothing was asked; 0 while something is
    bool draining = false;
    std::vector<std::string> watched;  ///< folders of --watch
    int metrics_port = 0;              ///< on which GET /metrics is answered now; 0: none
    std::string metrics_problem;       ///< why the port that was asked for is not served; empty: it is, or none was
    std::uint64_t resident_memory = 0;
    int open_files = 0, threads = 0;
    int connections = 0;
  } self;

  struct DeviceState {
    Device device;
    std::string running;  ///< id of the request; empty: free
    std::string map;      ///< of that request
    double busy = 0;      ///< seconds of computing since the start
    std::uint64_t requests = 0;
    std::vector<Engine::Loaded> loaded;
  };
  std::vector<DeviceState> devices;

  struct Memory {
    std::uint64_t limit = 0;  ///< 0: none
    std::uint64_t reserved = 0;
  } memory;

  struct RequestState {
    std::string id, caller, state;  ///< state: examining, waiting, running
    bool watched = false;           ///< came by a watched folder
    int attempt = 1;
    Facts facts;
    std::string device;
    int ahead = 0;
    double waited = 0, running = 0;
    std::uint64_t memory = 0;
  };
  std::vector<RequestState> requests;  ///< running first, then in the order of their coming

  /// One map that was computed or failed.
  struct MapState {
    Facts facts;
    int exit = 0;
    double waited = 0, seconds = 0;
    std::string finished;  ///< UTC, ISO 8601
    std::string error;     ///< first line of stderr where exit is not 0
  };
  struct JobState {
    std::string job;
    std::uint64_t done = 0, failed = 0, cancelled = 0;
    double seconds = 0;            ///< of computing, in all
    std::vector<MapState> recent;  ///< the last maps, newest last, at most 16
    std::string last_error;
  };
  std::vector<JobState> jobs;  ///< the most recently served first

  struct Counters {
    std::uint64_t submitted = 0, done = 0, failed = 0, cancelled = 0;
    std::uint64_t refused = 0;        ///< queue full or memory never enough; part of failed
    std::uint64_t split = 0;          ///< computed in smaller blocks to keep to the memory limit
    std::uint64_t device_full = 0;    ///< tries that ended because the card was full
    std::uint64_t repeated = 0;       ///< came with attempt above 1
    std::uint64_t watched = 0;        ///< came by a watched folder
    double waited = 0, computed = 0;  ///< sums of seconds
    // Of the server:
    std::uint64_t connections = 0, bad_requests = 0, foreign_peers = 0, timeouts = 0;
  } counters;
};

/// The JSON of docs/daemon.md, "Status".
Json to_json(const Snapshot& snapshot);

/// Of this process, for Snapshot::self: resident_memory, open_files, threads. 0 where /proc does not tell.
void add_process_figures(Snapshot::Self& self);

/// "2026-01-31T23:59:59Z".
std::string utc_text(std::int64_t unix_seconds);

}  // namespace cryored::daemon
