#include "plugin/http_answer.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>

namespace cryored::plugin {
namespace {

std::string printable(const std::string& text) {
  std::string shown;
  for (const char c : text.substr(0, 60)) shown += std::isprint(static_cast<unsigned char>(c)) ? c : '?';
  return shown;
}

bool equal_words(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string trim(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::uint64_t number(const std::string& text, int base, const char* what) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || stop != text.data() + text.size() || value > (std::uint64_t{1} << 40))
    throw ProtocolError(std::string(what) + " \"" + printable(text) + "\"");
  return value;
}

}  // namespace

void HttpAnswer::feed(const char* bytes, std::size_t count) {
  std::size_t at = 0;
  while (at < count) {
    switch (phase_) {
      case Phase::head: {
        // The headers end with an empty line; it may come in pieces.
        const char* end = static_cast<const char*>(std::memchr(bytes + at, '\n', count - at));
        const std::size_t upto = end ? static_cast<std::size_t>(end - bytes) + 1 : count;
        head_.append(bytes + at, upto - at);
        at = upto;
        if (head_.size() > longest_head) throw ProtocolError("headers of more than 16 kB");
        if (head_.size() >= 4 && head_.compare(head_.size() - 4, 4, "\r\n\r\n") == 0) take_head();
        break;
      }
      case Phase::sized_body:
      case Phase::chunk_data: {
        const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(left_, count - at));
        take_body(bytes + at, now);
        at += now;
        left_ -= now;
        if (left_ == 0) phase_ = phase_ == Phase::sized_body ? Phase::end : Phase::chunk_end;
        break;
      }
      case Phase::chunk_size:
        if (const auto text = head_line(bytes, count, at)) {
          left_ = number(trim(text->substr(0, text->find(';'))), 16, "chunk size");
          phase_ = left_ > 0 ? Phase::chunk_data : Phase::trailer;
        }
        break;
      case Phase::chunk_end:
        if (const auto text = head_line(bytes, count, at)) {
          if (!text->empty()) throw ProtocolError("text behind a chunk");
          phase_ = Phase::chunk_size;
        }
        break;
      case Phase::trailer:
        if (const auto text = head_line(bytes, count, at)) {
          trailer_ += text->size();
          if (trailer_ > longest_head) throw ProtocolError("trailers of more than 16 kB");
          if (text->empty()) phase_ = Phase::end;
        }
        break;
      case Phase::end:
        throw ProtocolError("bytes behind the end of the answer");
    }
  }
}

std::optional<std::string> HttpAnswer::head_line(const char* bytes, std::size_t count, std::size_t& at) {
  while (at < count) {
    const char c = bytes[at++];
    if (c != '\n') {
      head_ += c;
      if (head_.size() > longest_head) throw ProtocolError("a line of more than 16 kB");
      continue;
    }
    if (head_.empty() || head_.back() != '\r') throw ProtocolError("a line without its return");
    head_.pop_back();
    std::string line;
    line.swap(head_);
    return line;
  }
  return std::nullopt;
}

void HttpAnswer::take_head() {
  std::string head;
  head.swap(head_);
  bool chunked = false, sized = false;
  for (std::size_t at = 0, line_number = 0; at + 2 < head.size(); ++line_number) {
    const auto end = head.find("\r\n", at);
    const std::string line = head.substr(at, end - at);
    at = end + 2;
    if (line_number == 0) {
      if (line.rfind("HTTP/1.1 ", 0) != 0 || line.size() < 12 || (line.size() > 12 && line[12] != ' '))
        throw ProtocolError("status line \"" + printable(line) + "\"");
      status_ = static_cast<int>(number(line.substr(9, 3), 10, "status"));
      if (status_ < 200 || status_ > 599) throw ProtocolError("status " + std::to_string(status_));
      continue;
    }
    const auto colon = line.find(':');
    if (colon == line.npos || colon == 0) throw ProtocolError("header \"" + printable(line) + "\"");
    const std::string name = line.substr(0, colon), value = trim(line.substr(colon + 1));
    if (equal_words(name, "Transfer-Encoding")) {
      if (chunked || !equal_words(value, "chunked"))
        throw ProtocolError("transfer encoding \"" + printable(value) + "\"");
      chunked = true;
    } else if (equal_words(name, "Content-Length")) {
      if (sized) throw ProtocolError("two lengths");
      sized = true;
      left_ = number(value, 10, "length");
    }
  }
  if (status_ == 0) throw ProtocolError("no status line");
  if (chunked == sized) throw ProtocolError(sized ? "both a length and chunks" : "neither a length nor chunks");
  phase_ = chunked ? Phase::chunk_size : left_ > 0 ? Phase::sized_body : Phase::end;
}

void HttpAnswer::take_body(const char* bytes, std::size_t count) {
  for (std::size_t at = 0; at < count;) {
    const char* end = static_cast<const char*>(std::memchr(bytes + at, '\n', count - at));
    const std::size_t upto = end ? static_cast<std::size_t>(end - bytes) : count;
    line_.append(bytes + at, upto - at);
    if (line_.size() > longest_line) throw ProtocolError("a line of more than 4 MB");
    at = upto + 1;
    if (!end) break;
    lines_.push_back(std::move(line_));
    line_.clear();
  }
}

std::optional<std::string> HttpAnswer::next_line() {
  if (lines_.empty()) return std::nullopt;
  std::string line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

}  // namespace cryored::plugin
