#pragma once
// What is said over the socket (docs/daemon.md): bodies of requests, and the lines of an answer.

#include <string>

#include "daemon/exchange.hpp"
#include "daemon/job.hpp"
#include "daemon/status.hpp"

namespace cryored::daemon {

/// A request that gets no computation, but an HTTP status and {"error": message}.
struct Refusal {
  int status;  ///< 400, 404, 405, 408, 413, 426, 431, 503
  std::string message;
};

/// Body of POST /v1/reconstruct. Throws Refusal.
Request parse_reconstruct(const std::string& body);

/// Body of POST /v1/stop: whether to drain. Throws Refusal.
bool parse_stop(const std::string& body);

/// Whether a variable of the caller may travel: CRYORED_*, HOME, XDG_CONFIG_HOME and
/// RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE.
bool travels(const std::string& variable);

/// One line each, newline included.
std::string queued_line(int ahead);
std::string started_line(const Device& device);
std::string heartbeat_line(double seconds);
std::string done_line(const Outcome& outcome);
std::string error_body(const std::string& message);

/// JSON on one line, with what is not UTF-8 replaced: file names need not be.
std::string dump(const Json& json);

}  // namespace cryored::daemon
