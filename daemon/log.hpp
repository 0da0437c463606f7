#pragma once
// The daemon's log: one JSON object a line, in files of bounded size.
//
// Every line has "time" (UTC with milliseconds), "level" and "event", then the event's own fields, as docs/daemon.md
// lists them. Names with control characters or bytes that are not UTF-8 stay on their line: JSON escapes the first, the
// second are replaced.

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace cryored::daemon {

enum class LogLevel { debug, info, warning, error };

/// "debug", "info", "warning", "error".
const char* log_level_name(LogLevel level);
/// Throws UsageError for another name.
LogLevel log_level_from(const std::string& name);

struct LogOptions {
  std::string path;
  std::uint64_t max_bytes = 10u << 20;  ///< of one file; then it is renamed to <name>.1.<ending>, that one to .2 ...
  unsigned kept_files = 3;              ///< renamed files that are kept
  LogLevel level = LogLevel::info;      ///< less than this is left out
};

/// Writes from any thread. What cannot be written (disk full) is counted and dropped: a daemon does not end for its
/// log.
class EventLog {
 public:
  using Json = nlohmann::ordered_json;

  /// Opens (appends to) the file, mode 0600. Throws SystemError when it cannot, or when it is a symbolic link.
  explicit EventLog(const LogOptions& options);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void write(LogLevel level, const std::string& event, const Json& fields = Json::object()) noexcept;
  /// With the level that the fields imply: error where "error" is there and not empty, warning where "warning" is.
  void write(const std::string& event, const Json& fields = Json::object()) noexcept;

  const std::string& path() const { return options_.path; }
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  struct Sink;
  LogOptions options_;
  std::unique_ptr<Sink> sink_;
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace cryored::daemon
