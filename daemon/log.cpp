#include "daemon/log.hpp"

#include <fcntl.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"

namespace cryored::daemon {
namespace {

constexpr const char* kNames[] = {"debug", "info", "warning", "error"};

// For people who compare logs, and for nothing else: no waiting depends on this clock.
std::string now_text() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char date[32], text[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(milliseconds));
  return text;
}

bool given(const EventLog::Json& fields, const char* name) {
  const auto found = fields.find(name);
  return found != fields.end() && !found->is_null() &&
         !(found->is_string() && found->get_ref<const std::string&>().empty());
}

// Made beforehand with its mode and without following a link; spdlog would do neither.
void prepare_file(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  struct stat info {};
  const int error = fd < 0 ? errno : fstat(fd, &info) != 0 ? errno : S_ISREG(info.st_mode) ? 0 : EINVAL;
  if (fd >= 0) close(fd);
  if (error)
    throw SystemError(Problem{path, "log file", error == ELOOP ? "a symbolic link" : std::strerror(error),
                              "a regular file that can be written", "name another one with --log"});
}

}  // namespace

const char* log_level_name(LogLevel level) { return kNames[static_cast<int>(level)]; }

LogLevel log_level_from(const std::string& name) {
  for (int i = 0; i < 4; ++i)
    if (name == kNames[i]) return static_cast<LogLevel>(i);
  throw UsageError(Problem{"--log-level", "", name, "debug, info, warning or error", "choose one of them"});
}

struct EventLog::Sink {
  explicit Sink(const LogOptions& options)
      : file(options.path, static_cast<std::size_t>(std::max<std::uint64_t>(options.max_bytes, 1024)),
             options.kept_files) {
    file.set_pattern("%v");
  }
  spdlog::sinks::rotating_file_sink_mt file;
};

EventLog::EventLog(const LogOptions& options) : options_(options) {
  prepare_file(options_.path);
  // The renamed files keep the mode of the first; those that rotation opens get the umask's, which a daemon sets to
  // 077.
  try {
    sink_ = std::make_unique<Sink>(options_);
  } catch (const spdlog::spdlog_ex& error) {
    throw SystemError(
        Problem{options_.path, "log file", error.what(), "a file that can be written", "name another one with --log"});
  }
}

EventLog::~EventLog() = default;

void EventLog::write(LogLevel level, const std::string& event, const Json& fields) noexcept {
  if (level < options_.level) return;
  try {
    Json line = {{"time", now_text()}, {"level", log_level_name(level)}, {"event", event}};
    if (fields.is_object())
      for (const auto& [name, value] : fields.items()) line[name] = value;
    const std::string text = json_text(line);
    sink_->file.log(spdlog::details::log_msg(spdlog::string_view_t(), spdlog::level::info, text));
    sink_->file.flush();
  } catch (...) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
  }
}

void EventLog::write(const std::string& event, const Json& fields) noexcept {
  const bool object = fields.is_object();
  write(object && given(fields, "error")     ? LogLevel::error
        : object && given(fields, "warning") ? LogLevel::warning
                                             : LogLevel::info,
        event, fields);
}

}  // namespace cryored::daemon
