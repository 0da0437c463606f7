#pragma once
// GET over a Unix-domain socket, for `cryored status` and `cryored top`.

#include <chrono>
#include <string>

namespace cryored::daemon {

struct HttpAnswer {
  unsigned status = 0;
  std::string body;  ///< at most 16 MiB
};

/// One request on a connection of its own. Throws SystemError when nobody listens, the whole takes longer than
/// `patience`, or the answer is no HTTP.
HttpAnswer http_get(const std::string& socket, const std::string& target, std::chrono::milliseconds patience);

}  // namespace cryored::daemon
