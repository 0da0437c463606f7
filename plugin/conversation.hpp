#pragma once
// POST /v1/reconstruct and the stream that answers it (docs/daemon.md).

#include <optional>
#include <string>
#include <vector>

#include "plugin/link.hpp"

namespace cryored::plugin {

/// The body of the request, or nothing where JSON cannot hold it: words or variables that are no UTF-8, more than 1
/// MiB.
std::optional<std::string> request_body(const std::vector<std::string>& words, int attempt);

struct Answer {
  enum class Kind {
    done,     ///< exit, out, err
    refused,  ///< the daemon does not take this request; reason
    leaving,  ///< it takes no more requests
    lost,     ///< the connection ended early; reason says while waiting for what
    silent,   ///< nothing came for --heartbeat-timeout; reason
  };
  Kind kind = Kind::lost;
  int exit = 1;
  std::string out, err, reason;
};

/// Hands the request over and waits for what comes of it. Throws Interrupted.
Answer converse(const Link& link, const std::string& body, const Settings& settings, const Waiter& waiter);

}  // namespace cryored::plugin
