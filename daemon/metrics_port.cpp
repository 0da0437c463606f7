#include "daemon/metrics_port.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "core/base/error.hpp"
#include "daemon/metrics.hpp"

namespace cryored::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Code = boost::system::error_code;
using asio::ip::tcp;
constexpr int most_clients = 16;
constexpr auto patience = std::chrono::seconds(10);

/// One client; lives as long as its handlers.
struct Client : std::enable_shared_from_this<Client> {
  Client(tcp::socket socket, std::shared_ptr<void> guard) : stream(std::move(socket)), place(std::move(guard)) {
    parser.header_limit(16384);
    parser.body_limit(0);
  }

  void start(const std::function<std::string()>& text) {
    stream.expires_after(patience);
    http::async_read(stream, buffer, parser, [self = shared_from_this(), text](Code error, std::size_t) {
      if (error) return;  // no HTTP, or too slow: the connection ends
      self->answer(text);
    });
  }

  void answer(const std::function<std::string()>& text) {
    const auto& request = parser.get();
    response.version(11);
    response.keep_alive(false);
    response.set(http::field::content_type, metrics_content_type);
    if (request.method() != http::verb::get) {
      response.result(http::status::method_not_allowed);
      response.body() = "allowed here: GET\n";
    } else if (request.target() != "/metrics") {
      response.result(http::status::not_found);
      response.body() = "here is /metrics only\n";
    } else {
      response.body() = text();
    }
    response.prepare_payload();
    stream.expires_after(patience);
    http::async_write(stream, response, [self = shared_from_this()](Code, std::size_t) {
      Code ignored;
      self->stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    });
  }

  beast::tcp_stream stream;
  std::shared_ptr<void> place;  ///< what it does at its end
  beast::flat_buffer buffer{16384 + 4096};
  http::request_parser<http::empty_body> parser;
  http::response<http::string_body> response;
};

}  // namespace

MetricsPort::MetricsPort(asio::io_context& io, int port, const std::string& source, std::function<std::string()> text)
    : io_(io), acceptor_(io), text_(std::move(text)) {
  const tcp::endpoint place(asio::ip::address_v4::loopback(), static_cast<unsigned short>(port));
  Code error;
  acceptor_.open(place.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(place, error);
  if (!error) acceptor_.listen(most_clients, error);
  if (error)
    throw SystemError(Problem{source, "metrics-port of 127.0.0.1", std::to_string(port) + ": " + error.message(),
                              "a port that is free", "name another one; one daemon at a time can have it"});
  port_ = acceptor_.local_endpoint().port();
}

void MetricsPort::close() {
  Code ignored;
  acceptor_.close(ignored);
}

void MetricsPort::accept() {
  if (accepting_ || !acceptor_.is_open() || clients_ >= most_clients) return;
  accepting_ = true;
  acceptor_.async_accept([weak = weak_from_this()](Code error, tcp::socket socket) {
    const auto self = weak.lock();
    if (!self || error == asio::error::operation_aborted) return;
    self->accepting_ = false;
    if (!error) {
      self->serve(std::move(socket));
      return self->accept();
    }
    // Out of descriptors, most likely.
    const auto pause = std::make_shared<asio::steady_timer>(self->io_, std::chrono::milliseconds(100));
    pause->async_wait([weak, pause](Code) {
      if (const auto still = weak.lock()) still->accept();
    });
  });
}

void MetricsPort::serve(tcp::socket socket) {
  ++clients_;
  const std::shared_ptr<void> place(nullptr, [weak = weak_from_this()](void*) {
    const auto self = weak.lock();
    if (!self) return;
    --self->clients_;
    self->accept();
  });
  std::make_shared<Client>(std::move(socket), place)->start(text_);
}

}  // namespace cryored::daemon
