#pragma once
// Inside of daemon/server: what its connections share. All on the one thread of the server, but for the atomics.

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "daemon/server.hpp"

namespace cryored::daemon {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

inline std::chrono::steady_clock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

struct ServerCounters {
  std::atomic<std::uint64_t> connections{0}, bad_requests{0}, foreign_peers{0}, timeouts{0};
  std::atomic<int> open{0};
  std::atomic<bool> draining{false};
};

/// What a connection may ask of its server.
class ServerCore {
 public:
  virtual ~ServerCore() = default;
  virtual Queue& queue() = 0;
  virtual const ServerOptions& options() const = 0;
  virtual ServerCounters& counters() = 0;
  virtual Snapshot whole_snapshot() const = 0;
  virtual void leave(bool drain, const std::string& why) = 0;
  virtual void connection_ended() = 0;
};

/// Serves one client on its own; lives as long as it has something to do.
void serve_connection(std::shared_ptr<ServerCore> core, asio::io_context& io, Local::socket socket);

}  // namespace cryored::daemon
