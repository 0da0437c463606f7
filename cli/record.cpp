#include "cli/record.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <ctime>
#include <filesystem>

#include "cli/installation.hpp"
#include "core/base/atomic_file.hpp"
#include "core/base/json_text.hpp"

namespace cryored {
namespace {

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "unknown";
}

}  // namespace

std::string record_path(const std::string& result_path) {
  const std::string suffix = ".mrc";
  std::string stem = result_path;
  if (stem.size() > suffix.size() && stem.compare(stem.size() - suffix.size(), suffix.size(), suffix) == 0)
    stem.resize(stem.size() - suffix.size());
  return stem + "_cryored.json";
}

Json file_entry(const std::string& path, const Surroundings& surroundings) {
  struct stat info {};
  const std::string shown = surroundings.shown(path);
  if (stat(path.c_str(), &info) != 0) return {{"path", shown}, {"bytes", nullptr}, {"modified_ns", nullptr}};
  return {{"path", shown},
          {"bytes", static_cast<std::int64_t>(info.st_size)},
          {"modified_ns", static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000000000 +
                              static_cast<std::int64_t>(info.st_mtim.tv_nsec)}};
}

Json options_entry(const Settings& settings) {
  Json out = Json::object();
  for (const auto& [name, value] : settings.values)
    out[name] = {{"value", value.text.empty() ? Json() : Json(value.text)}, {"source", value.source.text}};
  return out;
}

Json start_record(const Surroundings& surroundings) {
  const BuildInfo build = build_info();
  std::error_code ignored;
  return {{"schema", record_schema},
          {"schema_version", record_version},
          {"time", utc_now()},
          {"host", host_name()},
          {"pid", getpid()},
          {"working_directory",
           surroundings.folder.empty() ? std::filesystem::current_path(ignored).string() : surroundings.folder},
          {"program",
           {{"name", "cryored"},
            {"version", build.version},
            {"commit", build.commit},
            {"compiler", build.compiler},
            {"build_type", build.build_type},
            {"path", own_path()}}}};
}

void write_record(const std::string& path, const Json& record) {
  // File names need not be UTF-8; what is not is replaced rather than refused.
  write_text_atomically(path, json_text(record, 2) + "\n");
}

}  // namespace cryored
