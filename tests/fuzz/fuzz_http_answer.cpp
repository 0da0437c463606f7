// Any bytes of a peer are either refused with a ProtocolError or read the same however they are cut into pieces; any
// line of them is an event, a file of a request or nothing.

#include <vector>

#include "daemon/exchange.hpp"
#include "fuzz_support.hpp"
#include "plugin/http_answer.hpp"

using namespace cryored;
using fuzzing::expect;

namespace {

struct Read {
  std::vector<std::string> lines;
  std::string rest;
  int status = 0;
  bool complete = false, refused = false;
};

Read read(const char* bytes, std::size_t size, std::size_t piece) {
  plugin::HttpAnswer answer;
  Read read;
  try {
    for (std::size_t at = 0; at < size; at += piece) {
      answer.feed(bytes + at, std::min(piece, size - at));
      while (auto line = answer.next_line()) read.lines.push_back(*line);
    }
  } catch (const plugin::ProtocolError&) {
    read.refused = true;
    return read;
  }
  read.rest = answer.rest();
  read.status = answer.status();
  read.complete = answer.complete();
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const char* bytes = reinterpret_cast<const char*>(data);
  const Read whole = read(bytes, size, size == 0 ? 1 : size);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}}) {
    const Read cut = read(bytes, size, piece);
    expect(cut.refused == whole.refused, "refused or not");
    if (cut.refused) continue;
    expect(cut.lines == whole.lines && cut.rest == whole.rest, "lines");
    expect(cut.status == whole.status && cut.complete == whole.complete, "state");
  }
  const std::string text(bytes, size);
  daemon::parse_answer(text);
  if (const auto request = daemon::parse_request(text); request && request->protocol == daemon::protocol_version) {
    const auto again = daemon::parse_request(daemon::to_text(*request));
    expect(again && again->words == request->words && again->environment == request->environment, "round trip");
  }
  return 0;
}
