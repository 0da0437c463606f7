#include "daemon/server.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <mutex>

#include "core/base/error.hpp"
#include "daemon/metrics_port.hpp"
#include "daemon/protocol.hpp"
#include "daemon/server_state.hpp"

namespace cryored::daemon {
namespace {

using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

struct Server::State : ServerCore, std::enable_shared_from_this<Server::State> {
  State(Queue& q, const Address& a, ServerOptions o, LogSink l)
      : queue_(q),
        address(a),
        options_(std::move(o)),
        log(std::move(l)),
        acceptor(io),
        signals(io),
        tick(io),
        pause(io) {}
  ~State() override {
    if (socket_file >= 0) ::close(socket_file);
  }

  Queue& queue_;
  Address address;
  ServerOptions options_;
  LogSink log;
  asio::io_context io{1};
  Local::acceptor acceptor;
  asio::signal_set signals;
  asio::steady_timer tick, pause;
  ServerCounters counters_;
  std::shared_ptr<MetricsPort> metrics_port;
  mutable std::mutex metrics_mutex;  ///< of what snapshots of any thread read
  int metrics_number = 0;
  std::string metrics_problem;
  Clock::time_point start = Clock::now(), left, metrics_tried;
  std::int64_t start_time = std::time(nullptr);
  int socket_file = -1;  ///< held open, so that its inode number is nobody else's
  bool accepting = false, leaving = false, drain = false, ended_well = true;

  Queue& queue() override { return queue_; }
  const ServerOptions& options() const override { return options_; }
  ServerCounters& counters() override { return counters_; }

  void note(const std::string& event, const Json& fields) {
    if (log) log(event, fields);
  }

  void listen() {
    const std::string path = address.socket();
    socket_address(path);  // says what is wrong with a long one
    Code error;
    ::unlink(path.c_str());
    acceptor.open(Local(), error);
    // The folder is private already; this is for those who look at the socket alone.
    const mode_t before = umask(0177);
    if (!error) acceptor.bind(Local::endpoint(path), error);
    umask(before);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) socket_file = ::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (!error && socket_file < 0) error.assign(errno, boost::system::system_category());
    if (error)
      throw SystemError(Problem{path, "socket of the daemon", error.message(), "a socket that can be made",
                                "check the folder, or name another one in CRYORED_RUNTIME_DIR"});
  }

  void accept() {
    if (accepting || !acceptor.is_open() || counters_.open >= options_.most_connections) return;
    accepting = true;
    acceptor.async_accept([self = shared_from_this()](Code error, Local::socket socket) {
      self->accepting = false;
      if (error == asio::error::operation_aborted) return;
      if (error) {  // out of descriptors, most likely: connections that end will free some
        self->pause.expires_after(std::chrono::milliseconds(100));
        self->pause.async_wait([self](Code stopped) {
          if (!stopped) self->accept();
        });
        return;
      }
      serve_connection(self, self->io, std::move(socket));
      self->accept();
    });
  }

  void connection_ended() override { accept(); }

  /// Takes the port of the metrics, or notes why not where that may wait.
  void open_metrics_port() {
    int number = 0;
    std::string problem;
    metrics_tried = Clock::now();
    try {
      metrics_port = std::make_shared<MetricsPort>(io, *options_.metrics_port, options_.metrics_port_source,
                                                   [this] { return options_.metrics(whole_snapshot()); });
      number = metrics_port->port();
    } catch (const SystemError& error) {
      if (!options_.metrics_port_may_wait) throw;
      problem = error.what();
    }
    const std::lock_guard hold(metrics_mutex);
    if (!problem.empty() && metrics_problem.empty()) note("metrics_port.taken", {{"warning", problem}});
    if (problem.empty() && !metrics_problem.empty()) note("metrics_port.open", {{"port", number}});
    metrics_number = number;
    metrics_problem = problem;
  }

  bool wants_metrics_port() const { return options_.metrics_port && options_.metrics && !metrics_port; }

  bool socket_is_ours() const {
    struct stat ours {
    }, now{};
    return fstat(socket_file, &ours) == 0 && lstat(address.socket().c_str(), &now) == 0 && now.st_ino == ours.st_ino &&
           now.st_dev == ours.st_dev;
  }

  void leave(bool with_drain, const std::string& why) override {
    if (leaving && (with_drain || !drain)) return;  // a second stop may only be a harder one
    note("daemon.leaving", {{"why", why}, {"drain", with_drain}});
    drain = with_drain;
    counters_.draining = true;
    left = Clock::now();
    if (!leaving) {
      leaving = true;
      if (socket_is_ours()) ::unlink(address.socket().c_str());
      Code ignored;
      acceptor.close(ignored);
      if (metrics_port) metrics_port->close();
      if (options_.leaving) options_.leaving();
    }
    queue_.stop(drain);
    watch();
  }

  /// Looks four times a second whether it is time to leave, and then whether everything has ended.
  void watch() {
    tick.expires_after(std::chrono::milliseconds(leaving ? 5 : 250));
    tick.async_wait([self = shared_from_this()](Code error) {
      if (!error) self->look();
    });
  }

  void look() {
    if (leaving) {
      const bool late = !drain && seconds_since(left) > options_.stop_time;
      ended_well = queue_.idle();
      // Clients that take their time to read their last line get the same.
      if (late || (ended_well && (counters_.open == 0 || seconds_since(left) > options_.stop_time))) {
        signals.cancel();
        io.stop();
        return;
      }
    } else if (!socket_is_ours()) {
      return leave(true, "the socket was removed: " + address.socket());
    } else if (options_.idle_timeout > 0 && queue_.idle_seconds() > options_.idle_timeout &&
               seconds_since(start) > options_.idle_timeout && !(options_.holds_request && options_.holds_request())) {
      return leave(true, "idle");
    } else if (wants_metrics_port() && seconds_since(metrics_tried) > options_.metrics_port_retry) {
      open_metrics_port();
      if (metrics_port) metrics_port->start();
    }
    watch();
  }

  void wait_for_signals() {
    signals.async_wait([self = shared_from_this()](Code error, int number) {
      if (error) return;
      self->leave(false, "signal " + std::to_string(number));
      self->wait_for_signals();
    });
  }

  Snapshot whole_snapshot() const override {
    Snapshot all = queue_.snapshot();
    all.self = options_.self;
    all.self.pid = getpid();
    all.self.protocol = protocol_version;
    all.self.socket = address.socket();
    all.self.started = utc_text(start_time);
    all.self.uptime = seconds_since(start);
    all.self.idle_timeout = options_.idle_timeout;
    all.self.idle = queue_.idle_seconds();
    all.self.draining = counters_.draining;
    all.self.connections = counters_.open;
    {
      const std::lock_guard hold(metrics_mutex);
      all.self.metrics_port = metrics_number;
      all.self.metrics_problem = metrics_problem;
    }
    add_process_figures(all.self);
    all.counters.connections = counters_.connections;
    all.counters.bad_requests = counters_.bad_requests;
    all.counters.foreign_peers = counters_.foreign_peers;
    all.counters.timeouts = counters_.timeouts;
    return all;
  }
};

Server::Server(Queue& queue, const Address& address, ServerOptions options, LogSink log)
    : state_(std::make_shared<State>(queue, address, std::move(options), std::move(log))) {
  State& state = *state_;
  if (state.wants_metrics_port()) state.open_metrics_port();
  // From here on a signal waits for run(): who sees the socket may also end us.
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    // What the starter has ignored stays ignored: nohup, and the jobs of a script in the background.
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) state.signals.add(number);
  }
  state.listen();
}

Server::~Server() {
  // What still waits in handlers holds the state: let it go.
  if (!state_->leaving && state_->socket_is_ours()) ::unlink(state_->address.socket().c_str());
  Code ignored;
  state_->acceptor.close(ignored);
}

bool Server::run() {
  state_->wait_for_signals();
  state_->watch();
  state_->accept();
  if (state_->metrics_port) state_->metrics_port->start();
  state_->io.run();
  return state_->ended_well;
}

void Server::stop(bool drain, const std::string& why) {
  asio::post(state_->io, [state = state_, drain, why] { state->leave(drain, why); });
}

int Server::metrics_port() const { return state_->metrics_port ? state_->metrics_port->port() : 0; }

Snapshot Server::snapshot() const { return state_->whole_snapshot(); }

}  // namespace cryored::daemon
