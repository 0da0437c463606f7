#include "daemon/registry.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <exception>
#include <filesystem>

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

std::vector<FoundDaemon> find_daemons(const std::string& folder, std::chrono::milliseconds patience) {
  std::vector<FoundDaemon> all;
  const std::string host = own_host(), ending = ".json";
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.size() <= ending.size() || name[0] == '.' || name.substr(name.size() - ending.size()) != ending) continue;
    FoundDaemon found;
    found.address = {folder, name.substr(0, name.size() - ending.size())};
    found.file = Json::parse(small_file(at->path().string()), nullptr, false);
    if (!found.file.is_object()) found.file = nullptr;
    const std::string its_host = found.file.is_object() && found.file.contains("host") && found.file["host"].is_string()
                                     ? found.file["host"].get<std::string>()
                                     : host;
    // A lock of another machine may not be seen from here.
    if (its_host != host)
      found.condition = Condition::other_host;
    else if (daemon_lives(found.address))
      ask(found, patience);
    all.push_back(std::move(found));
  }
  std::sort(all.begin(), all.end(),
            [](const FoundDaemon& a, const FoundDaemon& b) { return a.address.key < b.address.key; });
  return all;
}

}  // namespace cryored::daemon
