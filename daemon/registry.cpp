#include "daemon/registry.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>

#include "core/base/error.hpp"
#include "daemon/http_get.hpp"

namespace cryored::daemon {
namespace {

/// The text of a small regular file; nothing for links, pipes and files over 64 KiB.
std::string small_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return "";
  std::string text;
  struct stat info {};
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= 65536) {
    char buffer[4096];
    for (ssize_t count; text.size() <= 65536 && (count = read(fd, buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<std::size_t>(count));
  }
  close(fd);
  return text;
}

std::string own_host() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "";
}

bool flag(const Json& json, const Json::json_pointer& at) {
  return json.is_object() && json.contains(at) && json.at(at).is_boolean() && json.at(at).get<bool>();
}

/// The key of a file that a daemon writes: NAME-HASH, then .json, .lock, .sock, .log or, renamed, .N.log; else empty.
std::string key_of_file(const std::string& name) {
  static const std::regex pattern("([A-Za-z0-9_-]{1,32}-[0-9a-f]{16})\\.(json|lock|sock|([0-9]\\.)?log)");
  std::smatch parts;
  return std::regex_match(name, parts, pattern) ? parts[1].str() : "";
}

bool is_of_another_host(const Json& file) {
  return file.is_object() && file.contains("host") && file["host"].is_string() &&
         file["host"].get<std::string>() != own_host();
}

void ask(FoundDaemon& found, std::chrono::milliseconds patience) {
  found.condition = Condition::silent;
  try {
    const HttpAnswer answer = http_get(found.address.socket(), "/v1/status", patience);
    Json status = Json::parse(answer.body, nullptr, false);
    if (answer.status != 200 || !status.is_object()) {
      found.error = "answered GET /v1/status with " + std::to_string(answer.status) + " and no JSON object";
      return;
    }
    found.condition = flag(status, Json::json_pointer("/daemon/draining")) ? Condition::leaving : Condition::serving;
    found.status = std::move(status);
  } catch (const std::exception& error) {
    found.error = error.what();
  }
}

}  // namespace

const char* condition_name(Condition condition) {
  switch (condition) {
    case Condition::serving:
      return "serving";
    case Condition::leaving:
      return "leaving";
    case Condition::silent:
      return "silent";
    case Condition::stale:
      return "stale";
    case Condition::other_host:
      return "other-host";
  }
  return "";
}

Json daemon_file(const Address& address) {
  Json file = Json::parse(small_file(address.json()), nullptr, false);
  return file.is_object() ? file : Json();
}

int pid_of(const Json& file) {
  return file.is_object() && file.contains("pid") && file["pid"].is_number_integer() ? file["pid"].get<int>() : 0;
}

std::string pid_text(const Json& file) {
  const int pid = pid_of(file);
  return pid > 0 ? "pid " + std::to_string(pid) : "pid unknown";
}

std::vector<std::string> remove_leftovers(const std::string& folder, const std::string& own_key, double age) {
  struct Left {
    std::vector<std::string> files;
    std::time_t newest = 0;
  };
  std::map<std::string, Left> all;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string key = key_of_file(at->path().filename().string());
    struct stat info {};
    if (key.empty() || key == own_key || lstat(at->path().c_str(), &info) != 0) continue;
    Left& left = all[key];
    left.files.push_back(at->path().string());
    left.newest = std::max(left.newest, info.st_mtim.tv_sec);
  }
  std::vector<std::string> removed;
  for (const auto& [key, left] : all) {
    const Address address{folder, key};
    if (std::difftime(std::time(nullptr), left.newest) < age || is_of_another_host(daemon_file(address))) continue;
    try {
      // Cleaners of /tmp take old files from a daemon that lives, but not its socket.
      if (somebody_listens(address.socket()).value_or(true)) continue;
      std::optional<DaemonLock> lock;  // its file goes with it
      if (std::find(left.files.begin(), left.files.end(), address.lock()) != left.files.end())
        lock.emplace(address, 0, DaemonLock::File::existing);
      if (lock && !lock->held()) continue;
      for (const std::string& file : left.files)
        if (file != address.lock()) unlink(file.c_str());
      removed.push_back(key);
    } catch (const SystemError&) {  // a lock that cannot be looked at is left to people
    }
  }
  return removed;
}

std::vector<FoundDaemon> find_daemons(const std::string& folder, std::chrono::milliseconds patience) {
  std::vector<FoundDaemon> all;
  std::map<std::string, bool> keys;  // whether there is a KEY.json
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::filesystem::path name = at->path().filename();
    if (name.string()[0] == '.') continue;
    if (name.extension() == ".json") keys[name.stem().string()] = true;
    if (name.extension() == ".sock") keys.try_emplace(name.stem().string(), false);
  }
  for (const auto& [key, has_json] : keys) {
    FoundDaemon found;
    found.address = {folder, key};
    found.file = daemon_file(found.address);
    // A lock of another machine may not be seen from here.
    if (is_of_another_host(found.file))
      found.condition = Condition::other_host;
    else if (daemon_lives(found.address))
      ask(found, patience);
    else if (!has_json)  // which cleaners of /tmp take from a daemon that lives, too
      continue;
    all.push_back(std::move(found));
  }
  return all;
}

}  // namespace cryored::daemon
