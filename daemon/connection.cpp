// One client: its request, and the answer, which for a reconstruction is a stream of events.

#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>

#include "daemon/protocol.hpp"
#include "daemon/server_state.hpp"

namespace cryored::daemon {
namespace {

namespace http = boost::beast::http;
using Code = boost::system::error_code;
using Clock = std::chrono::steady_clock;

const char* reason_of(int status) {
  return http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))).data();
}

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, asio::io_context& io, Local::socket socket)
      : core_(std::move(core)), io_(io), socket_(std::move(socket)), timer_(io), buffer_(1u << 16) {
    ++core_->counters().connections;
    ++core_->counters().open;
  }
  ~Connection() {
    --core_->counters().open;
    core_->connection_ended();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start() {
    ucred peer{};
    socklen_t length = sizeof peer;
    if (getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
        peer.uid != core_->options().uid) {
      ++core_->counters().foreign_peers;
      return close();
    }
    peer_ = peer.pid;
    parser_.header_limit(static_cast<std::uint32_t>(core_->options().most_header));
    parser_.body_limit(core_->options().most_body);
    timer_.expires_after(duration_of(core_->options().request_time));
    timer_.async_wait([self = shared_from_this()](Code error) {
      if (error || self->answering_) return;
      ++self->core_->counters().timeouts;
      self->refuse({408, "the request was not complete in time"});
    });
    http::async_read(socket_, buffer_, parser_, [self = shared_from_this()](Code error, std::size_t) {
      if (!self->answering_) self->have_read(error);
    });
  }

  // Called by the observer, through the thread of the server.
  void event(const std::string& line) {
    if (closed_) return;
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", line.size());
    send(size + line + "\r\n");
  }
  void done(const std::string& line) {
    if (closed_) return;
    ticket_ = 0;
    timer_.cancel();
    event(line);
    send("0\r\n\r\n");
    finish();
  }
  /// The daemon leaves: an end without `done` tells the client that this daemon is lost.
  void cancelled() {
    ticket_ = 0;
    close();
  }

 private:
  void have_read(Code error) {
    if (error) {
      if (error == http::error::body_limit) return refuse({413, "the body is larger than the daemon takes"});
      if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return refuse({431, "the header is larger than the daemon takes"});
      if (error.category() == http::make_error_code(http::error::bad_version).category() &&
          error != http::error::end_of_stream && error != http::error::partial_message)
        return refuse({400, "not HTTP/1.1: " + error.message()});
      return close();
    }
    try {
      route();
    } catch (const Refusal& refusal) {
      refuse(refusal);
    }
  }

  void route() {
    const auto& request = parser_.get();
    const std::string target(request.target());
    const bool get = request.method() == http::verb::get, post = request.method() == http::verb::post;
    const auto allow = [](bool allowed, const char* method) {
      if (!allowed) throw Refusal{405, std::string("allowed here: ") + method};
    };
    if (target == "/v1/status") {
      allow(get, "GET");
      answer(200, "application/json", dump(to_json(core_->whole_snapshot())) + "\n");
    } else if (target == "/metrics" && core_->options().metrics) {
      allow(get, "GET");
      answer(200, "text/plain; version=0.0.4; charset=utf-8", core_->options().metrics(core_->whole_snapshot()));
    } else if (target == "/v1/reconstruct") {
      allow(post, "POST");
      reconstruct(parse_reconstruct(request.body()));
    } else if (target == "/v1/stop") {
      allow(post, "POST");
      const bool drain = parse_stop(request.body());
      answer(200, "application/json", dump({{"draining", drain}}) + "\n");
      core_->leave(drain, "asked by pid " + std::to_string(peer_));
    } else {
      throw Refusal{404, "no such thing: " + target.substr(0, 200)};
    }
  }

  /// Observer of the queue: its calls come from other threads.
  class Hearer : public Observer {
   public:
    Hearer(const std::shared_ptr<Connection>& connection, asio::io_context& io) : connection_(connection), io_(io) {}
    void queued(int ahead) override {
      pass([line = queued_line(ahead)](Connection& c) { c.event(line); });
    }
    void started(const Device& device) override {
      pass([line = started_line(device)](Connection& c) { c.event(line); });
    }
    void done(const Outcome& outcome) override {
      pass([line = done_line(outcome)](Connection& c) { c.done(line); });
    }
    void cancelled() override {
      pass([](Connection& c) { c.cancelled(); });
    }

   private:
    template <typename Call>
    void pass(Call call) {
      asio::post(io_, [weak = connection_, call = std::move(call)] {
        if (const auto connection = weak.lock()) call(*connection);
      });
    }
    std::weak_ptr<Connection> connection_;
    asio::io_context& io_;
  };

  void reconstruct(Request request) {
    if (core_->counters().draining) throw Refusal{503, "the daemon is leaving"};
    request.caller = "pid " + std::to_string(peer_);
    answering_ = true;
    started_ = Clock::now();
    send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n");
    // Before submit(): the queue may answer at once.
    ticket_ = core_->queue().submit(std::move(request), std::make_shared<Hearer>(shared_from_this(), io_));
    beat();
    watch();
  }

  void beat() {
    timer_.expires_after(duration_of(core_->options().heartbeat));
    timer_.async_wait([self = shared_from_this()](Code error) {
      if (error || self->closed_ || self->ticket_ == 0) return;
      self->event(heartbeat_line(std::chrono::duration<double>(Clock::now() - self->started_).count()));
      self->beat();
    });
  }

  /// Waits for the client's end; whatever else it sends is not looked at, but not without bound.
  void watch() {
    socket_.async_read_some(asio::buffer(ignored_), [self = shared_from_this()](Code error, std::size_t count) {
      if (self->closed_) return;
      self->ignored_bytes_ += count;
      if (error || self->ignored_bytes_ > 65536) return self->gone();
      self->watch();
    });
  }

  void gone() {
    close();
    if (ticket_ != 0) core_->queue().cancel(ticket_);
    ticket_ = 0;
  }

  void refuse(const Refusal& refusal) {
    ++core_->counters().bad_requests;
    answer(refusal.status, "application/json", error_body(refusal.message));
  }

  void answer(int status, const char* type, const std::string& body) {
    answering_ = true;
    timer_.cancel();
    send("HTTP/1.1 " + std::to_string(status) + " " + reason_of(status) + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body);
    finish();
  }

  void send(const std::string& bytes) {
    if (closed_) return;
    waiting_ += bytes;
    if (!writing_) write();
  }

  void write() {
    writing_ = true;
    sending_.swap(waiting_);
    waiting_.clear();
    auto patience = std::make_shared<asio::steady_timer>(io_, duration_of(core_->options().write_time));
    patience->async_wait([self = shared_from_this(), patience](Code error) {
      if (error || self->closed_) return;
      ++self->core_->counters().timeouts;
      self->gone();
    });
    asio::async_write(socket_, asio::buffer(sending_), [self = shared_from_this(), patience](Code error, std::size_t) {
      patience->cancel();
      self->writing_ = false;
      if (self->closed_) return;
      if (error) return self->gone();
      if (!self->waiting_.empty()) return self->write();
      if (self->finished_) self->close();
    });
  }

  void finish() {
    finished_ = true;
    if (!writing_ && waiting_.empty()) close();
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    timer_.cancel();
    Code ignored;
    socket_.shutdown(Local::socket::shutdown_both, ignored);
    socket_.close(ignored);
  }

  std::shared_ptr<ServerCore> core_;
  asio::io_context& io_;
  Local::socket socket_;
  asio::steady_timer timer_;  ///< of the request, then of the heartbeat
  boost::beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  int peer_ = 0;
  bool answering_ = false, writing_ = false, finished_ = false, closed_ = false;
  std::string waiting_, sending_;
  Queue::Ticket ticket_ = 0;
  Clock::time_point started_;
  std::array<char, 512> ignored_;
  std::size_t ignored_bytes_ = 0;
};

}  // namespace

void serve_connection(std::shared_ptr<ServerCore> core, asio::io_context& io, Local::socket socket) {
  std::make_shared<Connection>(std::move(core), io, std::move(socket))->start();
}

}  // namespace cryored::daemon
