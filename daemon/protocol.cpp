#include "daemon/protocol.hpp"

#include "core/base/json_text.hpp"

namespace cryored::daemon {
namespace {

constexpr std::size_t most_words = 1000, most_variables = 1000;

/// Bodies are read into a type that sorts its keys: one that keeps their order takes time by the square of their
/// number, seconds for a body of the largest size, in which the server would answer nobody.
using Parsed = nlohmann::json;

[[noreturn]] void refuse(const std::string& message) { throw Refusal{400, message}; }

Parsed object_of(const std::string& body) {
  Parsed json = Parsed::parse(body, nullptr, false);
  if (json.is_discarded()) refuse("the body is not JSON (UTF-8)");
  if (!json.is_object()) refuse("the body is not a JSON object");
  return json;
}

void check_protocol(const Parsed& json) {
  const auto found = json.find("protocol");
  if (found == json.end() || !found->is_number_integer()) refuse("protocol: missing; allowed: a whole number");
  if (*found != protocol_version)
    throw Refusal{426, "protocol: found " + found->dump() + "; this daemon speaks " + std::to_string(protocol_version)};
}

/// Text without a NUL, which no path or variable can hold.
std::string text(const Parsed& json, const char* field) {
  if (!json.is_string()) refuse(std::string(field) + ": allowed: text");
  std::string value = json.get<std::string>();
  if (value.find('\0') != std::string::npos) refuse(std::string(field) + ": holds a zero byte");
  return value;
}

const Parsed& required(const Parsed& json, const char* field) {
  const auto found = json.find(field);
  if (found == json.end()) refuse(std::string(field) + ": missing");
  return *found;
}

}  // namespace

bool travels(const std::string& variable) {
  return variable.rfind("CRYORED_", 0) == 0 || variable == "HOME" || variable == "XDG_CONFIG_HOME" ||
         variable == "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE";
}

Request parse_reconstruct(const std::string& body) {
  const Parsed json = object_of(body);
  check_protocol(json);
  Request request;
  request.id = text(required(json, "id"), "id");
  if (request.id.size() != 16 || request.id.find_first_not_of("0123456789abcdef") != std::string::npos)
    refuse("id: allowed: 16 hexadecimal digits");
  const Parsed& words = required(json, "words");
  if (!words.is_array() || words.size() > most_words)
    refuse("words: allowed: a list of up to " + std::to_string(most_words));
  for (const Parsed& word : words) request.words.push_back(text(word, "words"));
  request.cwd = text(required(json, "cwd"), "cwd");
  if (request.cwd.empty() || request.cwd[0] != '/') refuse("cwd: allowed: an absolute path");
  const Parsed& environment = required(json, "environment");
  if (!environment.is_object() || environment.size() > most_variables)
    refuse("environment: allowed: an object of up to " + std::to_string(most_variables) + " variables");
  for (const auto& [name, value] : environment.items()) {
    if (!travels(name)) refuse("environment: " + name + " is none of the variables that travel");
    request.environment[text(name, "environment")] = text(value, "environment");
  }
  if (const auto attempt = json.find("attempt"); attempt != json.end()) {
    if (!attempt->is_number_integer() || *attempt < 1 || *attempt > 100) refuse("attempt: allowed: 1 to 100");
    request.attempt = attempt->get<int>();
  }
  if (const auto mask = json.find("umask"); mask != json.end()) {
    request.umask = parse_umask(text(*mask, "umask"));
    if (!request.umask) refuse("umask: allowed: up to four octal digits, as text");
  }
  return request;
}

bool parse_stop(const std::string& body) {
  const Parsed json = object_of(body);
  const Parsed& drain = required(json, "drain");
  if (!drain.is_boolean()) refuse("drain: allowed: true or false");
  return drain.get<bool>();
}

std::string dump(const Json& json) { return json_text(json); }

std::string queued_line(int ahead) { return dump({{"event", "queued"}, {"ahead", ahead}}) + "\n"; }
std::string started_line(const Device& device) { return dump({{"event", "started"}, {"device", device.text}}) + "\n"; }
std::string heartbeat_line(double seconds) { return dump({{"event", "heartbeat"}, {"seconds", seconds}}) + "\n"; }
std::string done_line(const Outcome& outcome) {
  return dump({{"event", "done"}, {"exit", outcome.exit}, {"stdout", outcome.out}, {"stderr", outcome.err}}) + "\n";
}
std::string error_body(const std::string& message) { return dump({{"error", message}}) + "\n"; }

}  // namespace cryored::daemon
