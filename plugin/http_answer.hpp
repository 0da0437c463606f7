#pragma once
// Reads the one HTTP/1.1 answer that a connection to the daemon carries (docs/daemon.md). Strict and small, because the
// plugin links nothing but libc: status line, headers, then a body that is chunked or has a Content-Length.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>

namespace cryored::plugin {

/// The peer said something that is no answer of a daemon.
struct ProtocolError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class HttpAnswer {
 public:
  static constexpr std::size_t longest_head = 16384;        ///< bytes of status line and headers
  static constexpr std::size_t longest_line = 4096 * 1024;  ///< bytes of one line of the body

  /// Takes what has arrived. Throws ProtocolError; nothing may be fed after that.
  void feed(const char* bytes, std::size_t count);

  /// Status code, once the headers are there; 0 before.
  int status() const { return phase_ == Phase::head ? 0 : status_; }
  /// The next whole line of the body, without its end.
  std::optional<std::string> next_line();
  /// The body has ended as its headers said it would.
  bool complete() const { return phase_ == Phase::end; }
  /// What of the body belongs to no whole line: all of it in an error's answer.
  const std::string& rest() const { return line_; }

 private:
  enum class Phase { head, sized_body, chunk_size, chunk_data, chunk_end, trailer, end };
  void take_head();
  void take_body(const char* bytes, std::size_t count);
  std::optional<std::string> head_line(const char* bytes, std::size_t count, std::size_t& at);

  Phase phase_ = Phase::head;
  int status_ = 0;
  std::string head_;        ///< status line and headers, or the line of a chunk's size, as far as it is there
  std::uint64_t left_ = 0;  ///< bytes of the body or of this chunk
  std::size_t trailer_ = 0;
  std::string line_;
  std::deque<std::string> lines_;
};

}  // namespace cryored::plugin
