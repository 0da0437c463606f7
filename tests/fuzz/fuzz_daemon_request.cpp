// Any body of a request is either refused with a status that docs/daemon.md names, or holds what the daemon relies on.

#include <algorithm>

#include "core/base/error.hpp"
#include "daemon/protocol.hpp"
#include "fuzz_support.hpp"

using namespace cryored;
using fuzzing::expect;

namespace {

bool no_zero(const std::string& text) { return text.find('\0') == std::string::npos; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  try {
    const daemon::Request request = daemon::parse_reconstruct(body);
    expect(request.id.size() == 16, "id");
    expect(!request.cwd.empty() && request.cwd[0] == '/' && no_zero(request.cwd), "cwd");
    expect(request.words.size() <= 1000 && std::all_of(request.words.begin(), request.words.end(), no_zero), "words");
    for (const auto& [name, value] : request.environment)
      expect(daemon::travels(name) && no_zero(name) && no_zero(value), "environment");
    expect(request.attempt >= 1 && request.attempt <= 100, "attempt");
  } catch (const daemon::Refusal& refusal) {
    expect(refusal.status == 400 || refusal.status == 426, "status");
    const std::string answer = daemon::error_body(refusal.message);
    expect(std::count(answer.begin(), answer.end(), '\n') == 1 && answer.size() < 2 * size + 400, "answer");
  }
  try {
    daemon::parse_stop(body);
  } catch (const daemon::Refusal& refusal) {
    expect(refusal.status == 400, "status of stop");
  }
  return 0;
}
