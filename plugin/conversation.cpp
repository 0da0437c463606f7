#include "plugin/conversation.hpp"

#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <nlohmann/json.hpp>

#include "daemon/exchange.hpp"
#include "plugin/http_answer.hpp"

namespace cryored::plugin {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t longest_body = 1024 * 1024;

/// What came, of the stream's lines.
struct Stream {
  std::string waiting_for = "its first answer";
  bool done = false;
  Answer answer;

  void take(const std::string& line) {
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object() || !event.contains("event") || !event["event"].is_string())
      throw ProtocolError("a line that is no event");
    const auto& name = event["event"].get_ref<const std::string&>();
    if (name == "queued") {
      waiting_for = "its turn in the queue";
    } else if (name == "started") {
      waiting_for = "the map";
    } else if (name == "done") {
      if (!event.contains("exit") || !event["exit"].is_number_integer()) throw ProtocolError("done without its exit");
      const auto exit = event["exit"].get<std::int64_t>();
      if (exit < 0 || exit > 255) throw ProtocolError("exit " + std::to_string(exit));
      answer.kind = Answer::Kind::done;
      answer.exit = static_cast<int>(exit);
      if (event.contains("stdout") && event["stdout"].is_string()) answer.out = event["stdout"].get<std::string>();
      if (event.contains("stderr") && event["stderr"].is_string()) answer.err = event["stderr"].get<std::string>();
      done = true;
    }
  }
};

Answer lost(const std::string& reason) { return {Answer::Kind::lost, 1, "", "", reason}; }

Answer refusal(HttpAnswer& http) {
  std::string text = http.rest();
  while (const auto line = http.next_line()) text = *line;
  const Json json = Json::parse(text, nullptr, false);
  std::string error = "no reason given";
  if (json.is_object() && json.contains("error") && json["error"].is_string()) error = json["error"].get<std::string>();
  std::string reason = "status " + std::to_string(http.status()) + ": " + error;
  if (http.status() == 426) reason = "it speaks another version of the protocol (" + reason + ")";
  return {http.status() == 503 ? Answer::Kind::leaving : Answer::Kind::refused, 1, "", "", reason};
}

}  // namespace

std::optional<std::string> request_body(const std::vector<std::string>& words, int attempt) {
  char folder[PATH_MAX];
  if (!getcwd(folder, sizeof folder)) return std::nullopt;
  try {
    Json body;
    body["protocol"] = daemon::protocol_version;
    body["id"] = daemon::random_digits(16);
    body["words"] = words;
    body["cwd"] = folder;
    body["environment"] = daemon::handed_environment();
    body["umask"] = daemon::umask_text(daemon::own_umask());
    body["attempt"] = attempt;
    std::string text = body.dump();
    if (text.size() > longest_body) return std::nullopt;
    return text;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

Answer converse(const Link& link, const std::string& body, const Settings& settings, const Waiter& waiter) {
  const std::string request =
      "POST /v1/reconstruct HTTP/1.1\r\nHost: cryored\r\nContent-Type: application/json\r\nConnection: close\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  Patience patience(settings.heartbeat_timeout);
  std::size_t sent = 0;
  HttpAnswer http;
  Stream stream;
  try {
    for (;;) {
      const bool sending = sent < request.size();
      const bool ready =
          waiter.ready(link.fd(), static_cast<short>(POLLIN | (sending ? POLLOUT : 0)), patience.slice());
      if (ready && sending) {
        const ssize_t count = send(link.fd(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
        if (count > 0) {
          sent += static_cast<std::size_t>(count);
          patience.reset();
        } else if (errno == EPIPE || errno == ECONNRESET) {
          sent = request.size();  // the daemon may have answered before it closed: read that
        }
      }
      char bytes[16384];
      const ssize_t count = recv(link.fd(), bytes, sizeof bytes, 0);
      if (count > 0) {
        patience.reset();
        http.feed(bytes, static_cast<std::size_t>(count));
        while (http.status() == 200 && !stream.done) {
          const auto line = http.next_line();
          if (!line) break;
          stream.take(*line);
        }
        if (stream.done) return stream.answer;
        if (http.status() != 0 && http.status() != 200 && http.complete()) return refusal(http);
        if (http.complete()) return lost("its answer ended while waiting for " + stream.waiting_for);
        continue;
      }
      if (count == 0) {
        if (http.status() != 0 && http.status() != 200) return refusal(http);
        return lost("the connection ended while waiting for " + stream.waiting_for);
      }
      if (errno != EAGAIN && errno != EINTR)
        return lost(std::string("the connection broke (") + std::strerror(errno) + ") while waiting for " +
                    stream.waiting_for);
      if (patience.over())
        return {Answer::Kind::silent, 1, "", "",
                "it said nothing for " + seconds_text(settings.heartbeat_timeout) +
                    " (--heartbeat-timeout) while waiting for " + stream.waiting_for};
    }
  } catch (const ProtocolError& error) {
    return lost(std::string("its answer cannot be understood (") + error.what() + ") while waiting for " +
                stream.waiting_for);
  }
}

}  // namespace cryored::plugin
