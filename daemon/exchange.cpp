#include "daemon/exchange.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/json_text.hpp"

extern char** environ;

namespace cryored::daemon {
namespace {

using Json = nlohmann::ordered_json;
using Parsed = nlohmann::json;  // its keys are sorted: many of them take no time by their square
const std::string request_ending = ".cryored-request.json";

std::string stem_of_star(const std::string& star) {
  return star.size() > 5 && star.compare(star.size() - 5, 5, ".star") == 0 ? star.substr(0, star.size() - 5) : star;
}

bool is_nonce(const std::string& text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

template <class Number>
bool take(const Parsed& json, const char* name, Number least, Number most, Number& value) {
  if (!json.contains(name) || !json[name].is_number_integer()) return false;
  const auto number = json[name].get<std::int64_t>();
  if (number < static_cast<std::int64_t>(least) || number > static_cast<std::int64_t>(most)) return false;
  value = static_cast<Number>(number);
  return true;
}

bool take(const Parsed& json, const char* name, std::uint64_t& value) {
  std::int64_t number = 0;
  if (!take(json, name, std::int64_t{0}, INT64_MAX, number)) return false;
  value = static_cast<std::uint64_t>(number);
  return true;
}

bool take(const Parsed& json, const char* name, std::string& value) {
  if (!json.contains(name) || !json[name].is_string()) return false;
  value = json[name].get<std::string>();
  return true;
}

}  // namespace

std::string random_digits(std::size_t count) {
  std::string digits(count, '0');
  unsigned char bytes[64];
  if (count > sizeof bytes || getrandom(bytes, count, 0) != static_cast<ssize_t>(count))
    throw SystemError(Problem{"getrandom", "", std::strerror(errno), "", "report this message"});
  for (std::size_t i = 0; i < count; ++i) digits[i] = "0123456789abcdef"[bytes[i] & 15];
  return digits;
}

std::map<std::string, std::string> handed_environment() {
  std::map<std::string, std::string> handed;
  for (char** entry = environ; *entry; ++entry) {
    const char* equals = std::strchr(*entry, '=');
    if (!equals) continue;
    const std::string name(*entry, static_cast<std::size_t>(equals - *entry));
    if (name.rfind("CRYORED_", 0) == 0 || name == "HOME" || name == "XDG_CONFIG_HOME" ||
        name == "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE")
      handed.emplace(name, equals + 1);
  }
  return handed;
}

unsigned own_umask() {
  const mode_t mask = umask(0);
  umask(mask);
  return mask & 0777u;
}

std::string umask_text(unsigned mask) {
  char text[8];
  std::snprintf(text, sizeof text, "%03o", mask & 0777u);
  return text;
}

std::optional<unsigned> parse_umask(const std::string& text) {
  if (text.empty() || text.size() > 4 || text.find_first_not_of("01234567") != text.npos) return std::nullopt;
  return static_cast<unsigned>(std::strtoul(text.c_str(), nullptr, 8)) & 0777u;
}

std::string request_file(const std::string& star) { return stem_of_star(star) + request_ending; }
std::string answer_file(const std::string& star, const std::string& nonce, int generation) {
  return stem_of_star(star) + ".cryored-answer-" + nonce + "-" + std::to_string(generation) + ".json";
}

bool is_request_file(const std::string& name) {
  return name.size() > request_ending.size() && name[0] != '.' &&
         name.compare(name.size() - request_ending.size(), name.npos, request_ending) == 0;
}

std::string stem_of_request(const std::string& path) { return path.substr(0, path.size() - request_ending.size()); }

std::string to_text(const FileRequest& request) {
  Json json;
  json["protocol"] = request.protocol;
  json["nonce"] = request.nonce;
  json["words"] = request.words;
  json["environment"] = request.environment;
  json["star_size"] = request.star_size;
  json["job_root_levels"] = request.job_root_levels;
  json["host"] = request.host;
  json["pid"] = request.pid;
  if (request.umask) json["umask"] = umask_text(*request.umask);
  json["beat"] = request.beat;
  return json.dump(1) + "\n";  // a word that is not UTF-8 is refused, not another word
}

std::string to_text(const FileAnswer& answer) {
  Json json;
  json["protocol"] = answer.protocol;
  json["nonce"] = answer.nonce;
  json["state"] = answer.state;
  json["note"] = answer.note;
  if (answer.state == "done") {
    json["exit"] = answer.exit;
    json["stdout"] = answer.out;
    json["stderr"] = answer.err;
    json["result"] = answer.result;
    json["result_size"] = answer.result_size;
  }
  json["host"] = answer.host;
  json["time"] = answer.time;
  json["holder"] = answer.holder;
  json["beat"] = answer.beat;
  // One member a line, so that a waiter of a few lines of shell can read it.
  return json_text(json, 1) + "\n";
}

std::optional<FileRequest> parse_request(const std::string& text) {
  const Parsed json = Parsed::parse(text, nullptr, false);
  FileRequest request;
  if (!json.is_object() || !take(json, "protocol", 0, 1 << 20, request.protocol) ||
      !take(json, "nonce", request.nonce) || !is_nonce(request.nonce))
    return std::nullopt;
  take(json, "beat", request.beat);
  if (request.protocol != protocol_version) return request;  // no more of it is known
  std::int64_t size = 0;
  if (!take(json, "star_size", std::int64_t{0}, std::int64_t{1} << 40, size) ||
      !take(json, "job_root_levels", 0, 1000, request.job_root_levels) || !json.contains("words") ||
      !json["words"].is_array())
    return std::nullopt;
  request.star_size = static_cast<std::uint64_t>(size);
  for (const auto& word : json["words"]) {
    if (!word.is_string()) return std::nullopt;
    request.words.push_back(word.get<std::string>());
  }
  if (json.contains("environment")) {
    if (!json["environment"].is_object()) return std::nullopt;
    for (const auto& [name, value] : json["environment"].items()) {
      if (!value.is_string()) return std::nullopt;
      request.environment[name] = value.get<std::string>();
    }
  }
  take(json, "host", request.host);
  take(json, "pid", 0, INT_MAX, request.pid);
  std::string mask;
  if (take(json, "umask", mask) && !(request.umask = parse_umask(mask))) return std::nullopt;
  return request;
}

std::optional<FileAnswer> parse_answer(const std::string& text) {
  const Parsed json = Parsed::parse(text, nullptr, false);
  FileAnswer answer;
  if (!json.is_object() || !take(json, "nonce", answer.nonce) || !take(json, "state", answer.state))
    return std::nullopt;
  take(json, "protocol", 0, 1 << 20, answer.protocol);
  if (answer.state == "done" && !take(json, "exit", 0, 255, answer.exit)) return std::nullopt;
  take(json, "stdout", answer.out);
  take(json, "stderr", answer.err);
  take(json, "host", answer.host);
  take(json, "time", answer.time);
  take(json, "note", answer.note);
  take(json, "result", answer.result);
  take(json, "result_size", answer.result_size);
  take(json, "holder", answer.holder);
  take(json, "beat", answer.beat);
  return answer;
}

std::optional<std::string> read_small_file(const std::string& path, std::size_t most) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return std::nullopt;
  struct stat info {};
  std::optional<std::string> text;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) <= most) {
    text.emplace();
    char bytes[16384];
    for (;;) {
      const ssize_t count = read(fd, bytes, sizeof bytes);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) text.reset();
      if (count <= 0 || text->size() > most) break;
      text->append(bytes, static_cast<std::size_t>(count));
    }
  }
  close(fd);
  return text;
}

std::string host_name() {
  char host[HOST_NAME_MAX + 1] = {};
  if (gethostname(host, HOST_NAME_MAX) != 0) return "unknown";
  return host;
}

}  // namespace cryored::daemon
