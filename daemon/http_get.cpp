#include "daemon/http_get.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "core/base/error.hpp"
#include "daemon/address.hpp"

namespace cryored::daemon {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = boost::asio::local::stream_protocol;
using Error = boost::system::error_code;

/// Connect, write, read, each started by the end of the one before.
struct Exchange {
  Exchange(boost::asio::io_context& context, const std::string& target) : stream(context) {
    request.method(http::verb::get);
    request.target(target);
    request.version(11);
    request.set(http::field::host, "cryored");
    request.set(http::field::connection, "close");
    parser.body_limit(16u << 20);
  }
  void start(const Socket::endpoint& peer) {
    stream.async_connect(peer, [this](Error failed) {
      if ((error = failed)) return;
      http::async_write(stream, request, [this](Error unsent, std::size_t) {
        if ((error = unsent)) return;
        http::async_read(stream, buffer, parser, [this](Error unread, std::size_t) { error = unread; });
      });
    });
  }

  beast::basic_stream<Socket> stream;
  http::request<http::empty_body> request;
  http::response_parser<http::string_body> parser;
  beast::flat_buffer buffer;
  Error error;
};

}  // namespace

HttpAnswer http_get(const std::string& socket, const std::string& target, std::chrono::milliseconds patience) {
  socket_address(socket);  // refuses a path that is too long, with the remedy
  boost::asio::io_context context(1);
  Exchange exchange(context, target);
  // One limit for all three steps; on the steady clock.
  exchange.stream.expires_after(patience);
  exchange.start(Socket::endpoint(socket));
  context.run();
  if (exchange.error)
    throw SystemError(Problem{socket, "GET " + target,
                              exchange.error == beast::error::timeout
                                  ? "no answer within " + std::to_string(patience.count()) + " ms"
                                  : exchange.error.message(),
                              "an answer of cryored daemon", "see its log; kill the process if it hangs"});
  return {exchange.parser.get().result_int(), exchange.parser.get().body()};
}

}  // namespace cryored::daemon
