#pragma once
// GET /metrics on a TCP port of 127.0.0.1, for a Prometheus that reads no sockets. Inside of daemon/server.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>

namespace cryored::daemon {

/// Whoever can open a connection on this machine is answered: nothing but the metrics is here. At most 16 clients at a
/// time (more wait in line), a header of 16 KiB, no body, 10 s.
class MetricsPort : public std::enable_shared_from_this<MetricsPort> {
 public:
  /// Listens at once; port 0 takes a free one. `text` is called on the thread of `io`. Throws SystemError, naming
  /// `source`, where the port was set.
  MetricsPort(boost::asio::io_context& io, int port, const std::string& source, std::function<std::string()> text);
  MetricsPort(const MetricsPort&) = delete;
  MetricsPort& operator=(const MetricsPort&) = delete;

  int port() const { return port_; }
  /// Serves while `io` runs and somebody owns this.
  void start() { accept(); }
  /// No new clients; the port is free for another daemon.
  void close();

 private:
  void accept();
  void serve(boost::asio::ip::tcp::socket socket);

  boost::asio::io_context& io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::function<std::string()> text_;
  int port_ = 0, clients_ = 0;
  bool accepting_ = false;
};

}  // namespace cryored::daemon
