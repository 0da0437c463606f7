#pragma once
// The socket: HTTP/1.1 on one thread, whatever the number of clients. docs/daemon.md is the protocol.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/address.hpp"
#include "daemon/queue.hpp"

namespace cryored::daemon {

struct ServerOptions {
  int most_connections = 512;        ///< more wait in the socket's own line
  std::size_t most_header = 16384;   ///< bytes
  std::size_t most_body = 1u << 20;  ///< bytes
  double request_time = 10;          ///< seconds for a client to say what it wants
  double write_time = 60;            ///< seconds for a client to take what it is told
  double heartbeat = 1;              ///< seconds between two
  double idle_timeout = 900;         ///< seconds without a request until the daemon leaves; 0: never
  /// Where it is true the daemon does not leave for want of requests: one waits that is not in the queue yet.
  std::function<bool()> holds_request;
  double stop_time = 10;  ///< seconds that cancelled computations get to end
  unsigned uid = 0;       ///< the only user that is served
  /// Of Snapshot::self: name, host, version, commit, log and watched folders.
  Snapshot::Self self;
  /// Text of GET /metrics; 404 where there is none.
  std::function<std::string(const Snapshot&)> metrics;
  /// Port of 127.0.0.1 on which GET /metrics is answered, too; 0 takes a free one.
  std::optional<int> metrics_port;
  std::string metrics_port_source = "--metrics-port";  ///< where that was set, for messages
  /// A port that is taken does not keep the daemon from serving on its socket: the log and `cryored status` say so,
  /// and it tries again every `metrics_port_retry` seconds.
  bool metrics_port_may_wait = false;
  double metrics_port_retry = 10;
  /// Called once when the daemon starts to leave, on the thread of run(): the socket is gone, and another daemon
  /// may take the name.
  std::function<void()> leaving;
};

class Server {
 public:
  /// Listens at once: who connects is served when run() runs. A stale socket is replaced; the caller holds the lock of
  /// the address. Throws SystemError, for a metrics port that is taken too unless that may wait.
  Server(Queue& queue, const Address& address, ServerOptions options, LogSink log = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves until the daemon leaves: by stop(), by SIGTERM, SIGINT or SIGHUP (which cancel; one that was ignored at the
  /// start stays so), after the idle time-out, or when its socket was removed. Then the queue is empty, or its
  /// computations did not end within stop_time: false.
  bool run();

  /// From any thread: no new requests. `drain`: those that are here are ended, else they are cancelled. `why` is for
  /// the log.
  void stop(bool drain, const std::string& why = "asked");

  /// The port that metrics_port became when the server was made; 0 where there is none.
  int metrics_port() const;

  /// The whole daemon, from any thread.
  Snapshot snapshot() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace cryored::daemon
